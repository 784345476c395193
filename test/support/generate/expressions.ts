import type { EntityUid } from '#model/value.ts'
import { EXTENSION_TEXTS, type GenFacts, STRINGS } from './facts.ts'
import type { Random } from './random.ts'
import type { GenAction, GenAttrs, GenSchema, GenType } from './schema.ts'

/** What an expression is written for; a request of other types makes it error, which is wanted too. */
export interface Env {
  readonly random: Random
  readonly schema: GenSchema
  readonly pool: GenFacts['pool']
  readonly principal: string
  readonly resource: string
  readonly action: GenAction
}

interface Typed {
  readonly text: string
  readonly type: GenType
}

const LONG: GenType = { kind: 'long' }
const BOOL: GenType = { kind: 'bool' }
const STRING: GenType = { kind: 'string' }
const ATTRIBUTES = ['a', 'b', 'c', 'level', 'owner', 'odd key', 'constructor', '__proto__', 'missing']

/** An entity as policies write it. */
export function uidText(uid: EntityUid): string {
  return `${uid.type}::${JSON.stringify(uid.id)}`
}

/** A random condition. `depth` bounds its nesting. */
export function booleanExpression(env: Env, depth: number): string {
  const { random } = env
  const wrong = random.chance(0.03)
  if (wrong) return expression(env, random.pick([LONG, STRING]), depth)
  const leaves = [
    comparison,
    equality,
    recordEquality,
    presence,
    guarded,
    pattern,
    membership,
    membership,
    typeTest,
    tagTest,
    setTest,
    extensionTest,
  ]
  if (depth <= 0 || random.chance(0.45)) return random.pick(leaves)(env, depth - 1)
  const sub = (): string => booleanExpression(env, depth - 1)
  return random.pick([
    () => `(${sub()} && ${sub()})`,
    () => `(${sub()} || ${sub()})`,
    () => `!(${sub()})`,
    () => `(if ${sub()} then ${sub()} else ${sub()})`,
    () => `(${expression(env, BOOL, depth - 1)})`,
  ])()
}

function comparison(env: Env, depth: number): string {
  const type: GenType = env.random.pick([
    LONG,
    LONG,
    { kind: 'ext', fn: 'datetime' },
    { kind: 'ext', fn: 'duration' },
  ])
  const op = env.random.pick(['<', '<=', '>', '>='])
  return `(${expression(env, type, depth)} ${op} ${expression(env, type, depth)})`
}

function equality(env: Env, depth: number): string {
  const left = walk(env)
  const right = env.random.chance(0.8) ? expression(env, left.type, depth) : walk(env).text
  return `(${left.text} ${env.random.pick(['==', '!='])} ${right})`
}

/** One record of two entities, compared whole or by a field: both in one set need the whole and a part of it. */
function recordEquality(env: Env, depth: number): string {
  const { random, schema } = env
  const records = [...schema.types.values()].flatMap((type) =>
    [...type.attrs].flatMap(([name, attr]) =>
      attr.type.kind === 'record' ? [{ holder: type.name, name, attrs: attr.type.attrs }] : [],
    ),
  )
  if (records.length === 0) return equality(env, depth)
  const { holder, name, attrs } = random.pick(records)
  const side = (): string =>
    `${expression(env, { kind: 'entity', type: holder }, depth)}[${JSON.stringify(name)}]`
  const [left, right] = [side(), side()]
  const whole = `(${left} == ${right})`
  if (attrs.size === 0 || random.chance(0.5)) return whole
  const field = `[${JSON.stringify(random.pick([...attrs.keys()]))}]`
  return `(${left}${field} == ${right}${field} && ${whole})`
}

function presence(env: Env): string {
  const { random } = env
  const holder = walk(env)
  if (random.chance(0.25))
    return `(${holder.text} has ${random.pick(['owner.level', 'a.b', 'owner.owner.a', 'b.c'])})`
  return `(${holder.text} has ${JSON.stringify(random.pick(attributesOf(env, holder.type) ?? ATTRIBUTES))})`
}

function guarded(env: Env, depth: number): string {
  const holder = walk(env)
  const attrs = attrsOf(env, holder.type)
  const name = attrs === undefined ? undefined : [...attrs.keys()][env.random.int(attrs.size)]
  const attribute = name === undefined ? undefined : attrs?.get(name)
  if (name === undefined || attribute === undefined) return presence(env)
  const quoted = JSON.stringify(name)
  const value = expression(env, attribute.type, depth)
  return `(${holder.text} has ${quoted} && ${holder.text}[${quoted}] == ${value})`
}

function pattern(env: Env, depth: number): string {
  const wanted = env.random.pick(['"*"', '"x*"', '"*y*"', '"a\\*b"', '""', '"é*"'])
  return `(${expression(env, STRING, depth)} like ${wanted})`
}

function membership(env: Env, depth: number): string {
  const { random, schema, pool } = env
  const anyType = (): GenType => ({ kind: 'entity', type: random.pick([...schema.types.keys()]) })
  const group = (): string => uidText(random.pick(schema.actions).uid)
  const one = (): string => expression(env, anyType(), depth)
  const literal = (): string => uidText(random.pick([...pool.values()].flat()))
  return random.pick([
    () => `(${one()} in ${one()})`,
    () => `(${one()} in [${one()}, ${literal()}])`,
    () => `(principal in ${literal()})`,
    () => `(resource in ${one()})`,
    () => `(${one()} in ${expression(env, { kind: 'set', element: anyType() }, depth)})`,
    () => `(action in ${group()})`,
    () => `(action in [${group()}, ${group()}])`,
    () => `(${group()} in ${group()})`,
    () => `(action == ${group()})`,
  ])()
}

function typeTest(env: Env, depth: number): string {
  const { random, schema } = env
  const type = random.pick([...schema.types.keys()])
  const left = expression(env, { kind: 'entity', type: random.pick([...schema.types.keys()]) }, depth)
  return random.chance(0.5)
    ? `(${left} is ${type})`
    : `(${left} is ${type} in ${expression(env, { kind: 'entity', type }, depth)})`
}

function tagTest(env: Env, depth: number): string {
  const { random, schema } = env
  const tagged = [...schema.types.values()].filter((type) => type.tags !== undefined)
  if (tagged.length === 0) return presence(env)
  const { name, tags } = random.pick(tagged)
  const holder = expression(env, { kind: 'entity', type: name }, depth)
  const key = random.chance(0.8)
    ? JSON.stringify(random.pick(['x', 'y', 'z']))
    : expression(env, STRING, depth)
  const has = `${holder}.hasTag(${key})`
  const get = `${holder}.getTag(${key})`
  const value = expression(env, tags ?? LONG, depth)
  return random.pick([`(${has})`, `(${has} && ${get} == ${value})`, `(${get} == ${value})`])
}

function setTest(env: Env, depth: number): string {
  const { random } = env
  const element = random.pick<GenType>([LONG, STRING, { kind: 'entity', type: env.principal }])
  const set = (): string => expression(env, { kind: 'set', element }, depth)
  return random.pick([
    () => `(${set()}.contains(${expression(env, element, depth)}))`,
    () => `(${set()}.containsAll(${set()}))`,
    () => `(${set()}.containsAny(${set()}))`,
    () => `(${set()}.isEmpty())`,
    () =>
      `([${expression(env, element, depth)}, ${expression(env, element, depth)}].contains(${expression(env, element, depth)}))`,
  ])()
}

function extensionTest(env: Env, depth: number): string {
  const { random } = env
  const of = (fn: 'ip' | 'decimal' | 'datetime' | 'duration'): string =>
    expression(env, { kind: 'ext', fn }, depth)
  return random.pick([
    () => `(${of('ip')}.${random.pick(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'])}())`,
    () => `(${of('ip')}.isInRange(${of('ip')}))`,
    () => `(${of('decimal')}.${random.pick(['lessThan', 'greaterThanOrEqual'])}(${of('decimal')}))`,
    () => `(${of('datetime')}.offset(${of('duration')}) < ${of('datetime')})`,
    () => `(${of('datetime')}.durationSince(${of('datetime')}) == ${of('duration')})`,
    () => `(${of('datetime')}.toDate() == ${of('datetime')})`,
    () => `(${of('duration')}.toHours() > ${expression(env, LONG, depth)})`,
    () => `(ip(${expression(env, STRING, depth)}).isIpv4())`,
  ])()
}

function expression(env: Env, type: GenType, depth: number): string {
  const { random } = env
  for (let attempt = 0; attempt < 5 && random.chance(0.8); attempt += 1) {
    const found = walk(env)
    if (keyOf(found.type) === keyOf(type)) return found.text
  }
  if (depth > 0 && random.chance(0.12))
    return `(if ${booleanExpression(env, depth - 1)} then ${expression(env, type, depth - 1)} else ${expression(env, type, depth - 1)})`
  return literal(env, type, depth - 1)
}

function literal(env: Env, type: GenType, depth: number): string {
  const { random, pool } = env
  switch (type.kind) {
    case 'bool':
      return depth > 0 ? booleanExpression(env, depth) : random.pick(['true', 'false'])
    case 'long':
      return depth > 0 && random.chance(0.4)
        ? arithmetic(env, depth)
        : random.pick(['0', '1', '2', '50', '-1', '9223372036854775807'])
    case 'string':
      return JSON.stringify(random.pick(STRINGS))
    case 'ext':
      return `${type.fn}(${JSON.stringify(random.pick([...EXTENSION_TEXTS[type.fn], ...(random.chance(0.1) ? ['wrong'] : [])]))})`
    case 'entity':
      return uidText(random.pick(pool.get(type.type) ?? []))
    case 'set':
      return `[${Array.from({ length: 1 + random.int(2) }, () => expression(env, type.element, depth)).join(', ')}]`
    case 'record':
      return recordLiteral(env, type.attrs, depth)
  }
}

function arithmetic(env: Env, depth: number): string {
  const operand = (): string => expression(env, LONG, depth)
  return env.random.pick([
    () => `(${operand()} + ${operand()})`,
    () => `(${operand()} - ${operand()})`,
    () => `(${operand()} * ${operand()})`,
    () => `(-(${operand()}))`,
  ])()
}

function recordLiteral(env: Env, attrs: GenAttrs, depth: number): string {
  const fields = [...attrs].map(
    ([name, { type }]) => `${JSON.stringify(name)}: ${expression(env, type, depth)}`,
  )
  return `{${fields.join(', ')}}`
}

/** A path from a variable or literal through attributes and tags, with the type that it has when all goes well. */
function walk(env: Env): Typed {
  const { random } = env
  let here = root(env)
  for (let hop = 0; hop < 4 && (hop === 0 || random.chance(0.65)); hop += 1) {
    const next = step(env, here)
    if (next === undefined) break
    here = next
  }
  return here
}

function root(env: Env): Typed {
  const { random, pool } = env
  const principal: Typed = { text: 'principal', type: { kind: 'entity', type: env.principal } }
  const resource: Typed = { text: 'resource', type: { kind: 'entity', type: env.resource } }
  const context: Typed = { text: 'context', type: { kind: 'record', attrs: env.action.context } }
  const uid = random.pick([...pool.values()].flat())
  const named: Typed = { text: uidText(uid), type: { kind: 'entity', type: uid.type } }
  const chosen = random.pick([principal, principal, resource, resource, context, context, named])
  if (random.chance(0.06))
    return { ...chosen, text: `(if principal == resource then ${chosen.text} else ${chosen.text})` }
  if (random.chance(0.05)) return { ...chosen, text: `{"f": ${chosen.text}, "g": resource}["f"]` }
  if (random.chance(0.04) && chosen.type.kind === 'entity')
    return { ...chosen, text: `(if principal in resource then ${chosen.text} else ${uidText(uid)})` }
  return chosen
}

function step(env: Env, from: Typed): Typed | undefined {
  const { random, schema } = env
  const tags = from.type.kind === 'entity' ? schema.types.get(from.type.type)?.tags : undefined
  if (tags !== undefined && random.chance(0.2))
    return { text: `${from.text}.getTag(${JSON.stringify(random.pick(['x', 'y']))})`, type: tags }
  const attrs = attrsOf(env, from.type)
  if (attrs === undefined || attrs.size === 0) return undefined
  const [name, { type }] = random.pick([...attrs])
  return {
    text: /^[abc]$/.test(name) ? `${from.text}.${name}` : `${from.text}[${JSON.stringify(name)}]`,
    type,
  }
}

function attrsOf(env: Env, type: GenType): GenAttrs | undefined {
  if (type.kind === 'record') return type.attrs
  return type.kind === 'entity' ? env.schema.types.get(type.type)?.attrs : undefined
}

function attributesOf(env: Env, type: GenType): readonly string[] | undefined {
  const attrs = attrsOf(env, type)
  return attrs === undefined || attrs.size === 0 ? undefined : [...attrs.keys()]
}

/** Equal keys mean that one can stand for the other. */
function keyOf(type: GenType): string {
  switch (type.kind) {
    case 'ext':
      return type.fn
    case 'entity':
      return type.type
    case 'set':
      return `[${keyOf(type.element)}]`
    case 'record':
      return `{${[...type.attrs].map(([name, { type: field }]) => `${name}:${keyOf(field)}`).join()}}`
    default:
      return type.kind
  }
}
