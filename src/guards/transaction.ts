import type { Stop, Transaction } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'

const NOTHING: JsonObject = {}

/**
 * What stops a call that is not the one its transaction was started for. Of `tctx`, `tool` is the id of the tool, `resource` the id
 * of the resource or an object with `type` and `id`, and `arguments` an object of arguments; any other member is compared where an
 * argument has its name. What is not named is free.
 *
 * INVARIANT: called with the call as it was bound to its tool, never with what headers alone say: an argument that is named and can't be
 * seen denies.
 * @param tool id of the registered tool that is called
 */
export function guardTransaction(
  transaction: Transaction | undefined,
  call: AuthorizationRequest,
  tool: string | undefined,
): Stop | undefined {
  if (transaction === undefined) return undefined
  const { tool: toolNamed, resource, arguments: named, ...others } = transaction.context
  if (toolNamed !== undefined && toolNamed !== (tool ?? call.tool)) return mismatch('tool')
  if (resource !== undefined && !isResource(resource, call, tool)) return mismatch('resource')
  if (named !== undefined && !isObject(named)) return mismatch('arguments')
  // Arguments that are not chosen yet are compared when the tool is called.
  if (call.argumentsOpen === true) return undefined
  const given = call.arguments ?? NOTHING
  const demanded = Object.entries(named ?? NOTHING)
  const alike = Object.entries(others).filter(
    ([name]) => call.argumentsUnknown === true || Object.hasOwn(given, name),
  )
  const wrong = [...demanded, ...alike].find(([name, value]) => !isEqual(ownOf(given, name), value))
  return wrong && mismatch(`arguments.${wrong[0]}`)
}

/** Without a resource of its own, a call is about its tool. */
function isResource(
  named: Json,
  { resource, tool: claimed }: AuthorizationRequest,
  tool: string | undefined,
): boolean {
  const id = resource?.id ?? tool ?? claimed
  if (typeof named === 'string') return named === id
  if (!isObject(named)) return false
  const actual: JsonObject = {
    ...(id !== undefined && { id }),
    ...(resource !== undefined && { type: resource.type }),
  }
  return Object.entries(named).every(([name, value]) => isEqual(ownOf(actual, name), value))
}

function isEqual(one: Json | undefined, other: Json | undefined): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, i) => isEqual(item, other[i]))
  if (isObject(one) && isObject(other)) {
    const names = Object.keys(one)
    return (
      names.length === Object.keys(other).length &&
      names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]))
    )
  }
  return one !== undefined && one === other
}

function ownOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The path alone: values may be sensitive. */
function mismatch(path: string): Stop {
  const code = 'txn.mismatch'
  return { code, message: REASONS[code], detail: `\`tctx\`: ${path}` }
}
