import { failed, type Result, success } from '#lib/result.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { type Inputs, readsOfAll } from './expression.ts'
import { type Reads, readsArgument } from './reads.ts'
import { compileTemplate, expressionsIn, render, type Template } from './template.ts'

/** What a call is about, in the words of AuthZEN. */
export interface Mapped {
  /** Undefined members: the mapping leaves them to the default. */
  readonly subject: { readonly type: string | undefined; readonly id: string | undefined }
  readonly action: { readonly name: string; readonly properties: JsonObject | undefined }
  readonly resource: { readonly type: string; readonly id: string }
  readonly context: JsonObject
}

/** A declared mapping, compiled: from a call to subject, action, resource and context. */
export interface Mapping {
  readonly reads: Reads
  /** The failure says where, and holds no value of the call. */
  evaluate(inputs: Inputs): Result<Mapped, string>
}

/** Most characters of a mapping, and of the context that one gives, both as JSON. */
const LENGTH_MAX = 8_192
const EXPRESSIONS_MAX = 64
/** Most characters, as JSON, of the arguments that a mapping reads. Others may be of any size. */
const ARGUMENTS_LENGTH_MAX = 16_384
const ID_LENGTH_MAX = 1_024

const MEMBERS: { readonly [field: string]: readonly string[] } = {
  subject: ['type', 'id'],
  action: ['name', 'properties'],
  resource: ['type', 'id'],
}
const FIELDS = [...Object.keys(MEMBERS), 'context']
/** Members that are about who asks. */
const ABOUT_PARTIES: ReadonlySet<string> = new Set([
  'agent',
  'user',
  'subject',
  'actor',
  'act',
  'delegation',
  'tenant',
  'token',
  'client',
  'client_id',
])

/**
 * Compiles what stands in `mapping` of a registered tool or server, the `x-authzen-mapping` of COAZ-MCP with the envelope
 * `evaluation`. Everything that is not understood is refused: another envelope, another member, attributes of the subject or
 * the resource (the registry says these).
 *
 * INVARIANT: what is about who asks, and the kind of the resource, never reads the parameters of the call: they are the agent's own words.
 *
 * @see AuthZEN COAZ-MCP Draft 1, sections "Mapping Envelopes" and "Declared Mappings"
 */
export function compileMapping(json: Json): Result<Mapping, string> {
  if (!isObject(json) || Object.keys(json).join() !== 'evaluation')
    return failed('must be an object with the one member `evaluation`')
  if (JSON.stringify(json).length > LENGTH_MAX) return failed(`may have ${LENGTH_MAX} characters`)
  const { evaluation } = json
  const wrong = isObject(evaluation) ? objectionToFields(evaluation) : '`evaluation` must be an object'
  if (wrong !== undefined) return failed(wrong)
  const compiled = compileTemplate(evaluation ?? null, 'evaluation')
  if (!compiled.ok) return compiled
  const template = compiled.value
  const expressions = expressionsIn(template)
  if (expressions.length > EXPRESSIONS_MAX) return failed(`may have ${EXPRESSIONS_MAX} expressions`)
  const objection = objectionToParties(template)
  if (objection !== undefined) return failed(objection)
  const reads = readsOfAll(expressions)
  return success({
    reads,
    evaluate: (inputs) => {
      const bounded = boundedInputs(reads, inputs)
      return bounded.ok ? evaluate(template, bounded.value) : bounded
    },
  })
}

/**
 * The inputs with no other arguments than those that are read.
 *
 * INVARIANT: what expressions look at is small, so that no call holds up others, whatever it carries.
 */
function boundedInputs(reads: Reads, { params, token }: Inputs): Result<Inputs, string> {
  const { arguments: given } = params
  if (!isObject(given)) return success({ params, token })
  const read = Object.entries(given).filter(([name]) => readsArgument(reads, name))
  const kept = Object.fromEntries(read)
  return JSON.stringify(kept).length > ARGUMENTS_LENGTH_MAX
    ? failed('the arguments that it reads are too large')
    : success({ params: { ...params, arguments: kept }, token })
}

function objectionToFields(evaluation: JsonObject): string | undefined {
  const unknown = Object.keys(evaluation).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined)
    return `\`evaluation.${unknown.slice(0, 60)}\` is not one of ${FIELDS.join(', ')}`
  for (const [field, members] of Object.entries(MEMBERS)) {
    const value = evaluation[field]
    if (value === undefined && field === 'subject') continue
    if (!isObject(value)) return `\`evaluation.${field}\` must be an object`
    const other = Object.keys(value).find((name) => !members.includes(name))
    if (other !== undefined)
      return `\`evaluation.${field}.${other.slice(0, 60)}\` is not one of ${members.join(', ')}`
  }
  return evaluation['context'] === undefined || isObject(evaluation['context'])
    ? undefined
    : '`evaluation.context` must be an object'
}

/** The subject, whatever is called like a party elsewhere, at any depth, and the type of the resource. */
function objectionToParties(template: Template): string | undefined {
  const members = template.kind === 'object' ? template.members : []
  const wrong = members
    .flatMap(([name, member]) => namedParties(name, name, member))
    .find(([, member]) => readsOfAll(expressionsIn(member)).params)
  return (
    wrong &&
    `\`evaluation.${wrong[0]}\` says who asks or what kind of thing is meant, and can't be read from \`params\``
  )
}

function namedParties(
  path: string,
  name: string,
  template: Template,
): readonly (readonly [string, Template])[] {
  if (ABOUT_PARTIES.has(name) || path === 'resource.type') return [[path, template]]
  if (template.kind === 'list') return template.items.flatMap((item) => namedParties(path, '', item))
  if (template.kind !== 'object') return []
  return template.members.flatMap(([member, value]) => namedParties(`${path}.${member}`, member, value))
}

function evaluate(template: Template, inputs: Inputs): Result<Mapped, string> {
  const rendered = render(template, inputs)
  if (!rendered.ok) return rendered
  const value = isObject(rendered.value) ? rendered.value : {}
  const subject = textsOf(value['subject'], [], ['type', 'id'])
  const action = textsOf(value['action'], ['name'], [])
  const resource = textsOf(value['resource'], ['type', 'id'], [])
  const { action: asked, context = {} } = value
  const properties = isObject(asked) ? asked['properties'] : undefined
  if (subject === undefined) return failed('the subject is not named by texts')
  if (action === undefined) return failed('the action has no name')
  if (resource === undefined) return failed('the resource has no type or no id')
  if (!isObject(context) || (properties !== undefined && !isObject(properties)))
    return failed('context and properties must be objects')
  if (JSON.stringify([context, properties]).length > LENGTH_MAX) return failed('the context is too large')
  return success({
    subject: { type: subject['type'], id: subject['id'] },
    action: { name: action['name'] ?? '', properties },
    resource: { type: resource['type'] ?? '', id: resource['id'] ?? '' },
    context,
  })
}

/** Members that are texts of 1 to 1,024 characters; undefined when one is anything else, or a required one is missing. */
function textsOf(
  value: Json | undefined,
  required: readonly string[],
  optional: readonly string[],
): { readonly [name: string]: string } | undefined {
  const object = isObject(value) ? value : {}
  const found: [string, string][] = []
  for (const name of [...required, ...optional]) {
    const text = object[name]
    if (text === undefined && optional.includes(name)) continue
    if (typeof text !== 'string' || text === '' || text.length > ID_LENGTH_MAX || !text.isWellFormed())
      return undefined
    found.push([name, text])
  }
  return Object.fromEntries(found)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
