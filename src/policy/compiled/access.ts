import type { EntityUid } from '#model/value.ts'
import { type Environment, readField } from './environment.ts'
import type { Expression, Run } from './expression.ts'
import { isEntity, isRecord, isSet, type Outcome } from './value.ts'

const NO_FIELDS: ReadonlyMap<string, Outcome> = new Map()

/** `.name`, several in a row at once. Errors for a missing entity, a missing attribute and what has no attributes. */
export function attribute(of: Run, names: readonly string[]): Run {
  const [only] = names
  if (only !== undefined && names.length === 1)
    return (environment) => readAttribute(environment, of(environment), only)
  return (environment) => {
    let value = of(environment)
    for (const name of names) value = readAttribute(environment, value, name)
    return value
  }
}

function readAttribute(environment: Environment, of: Outcome, name: string): Outcome {
  if (isRecord(of)) return readField(of.fields, name)
  if (!isEntity(of)) return undefined
  const facts = environment.factsOf(of.uid)
  return facts === undefined ? undefined : readField(facts.attrs, name)
}

/** `has a.b.c`: each name is looked for in what the one before it gave. */
export function hasAttributes(of: Run, names: readonly string[]): Run {
  return (environment) => {
    let value = of(environment)
    for (const name of names) {
      const fields = fieldsOf(environment, value)
      if (fields === undefined) return undefined
      if (!fields.has(name)) return false
      value = readField(fields, name)
    }
    return true
  }
}

/** What `has` looks into: an entity that does not exist has nothing, and what is no record or entity can't be asked. */
function fieldsOf(environment: Environment, of: Outcome): ReadonlyMap<string, Outcome> | undefined {
  if (isRecord(of)) return of.fields
  return isEntity(of) ? (environment.factsOf(of.uid)?.attrs ?? NO_FIELDS) : undefined
}

/** `.getTag(name)`. */
export function getTag(of: Run, name: Run): Run {
  return (environment) => {
    const [entity, tag] = [of(environment), name(environment)]
    if (!isEntity(entity) || typeof tag !== 'string') return undefined
    const facts = environment.factsOf(entity.uid)
    return facts === undefined ? undefined : readField(facts.tags, tag)
  }
}

/** `.hasTag(name)`. */
export function hasTag(of: Run, name: Run): Run {
  return (environment) => {
    const [entity, tag] = [of(environment), name(environment)]
    if (!isEntity(entity) || typeof tag !== 'string') return undefined
    return environment.factsOf(entity.uid)?.tags.has(tag) === true
  }
}

/** `is Type`, alone or with `in`, which then is only looked at for entities of the type. */
export function isOfType(of: Run, type: string, within: Expression | undefined): Run {
  const inside = within === undefined ? undefined : isInside(of, within)
  return (environment) => {
    const entity = of(environment)
    if (!isEntity(entity)) return undefined
    if (entity.uid.type !== type) return false
    return inside === undefined ? true : inside(environment)
  }
}

/** `in`: on the right an entity, or a set of nothing but entities. */
export function isInside(of: Run, within: Expression): Run {
  const fixed = within.constant === undefined ? undefined : uidsOf(within.constant)
  return (environment) => {
    const entity = of(environment)
    const targets = fixed ?? uidsOf(within.run(environment))
    if (!isEntity(entity) || targets === undefined) return undefined
    for (const target of targets) if (environment.isIn(entity.uid, target)) return true
    return false
  }
}

function uidsOf(value: Outcome): readonly EntityUid[] | undefined {
  if (isEntity(value)) return [value.uid]
  if (!isSet(value)) return undefined
  const uids: EntityUid[] = []
  for (const element of value.elements) {
    if (!isEntity(element)) return undefined
    uids.push(element.uid)
  }
  return uids
}
