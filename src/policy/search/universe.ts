import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest, Search } from '#model/request.ts'
import type { EntityUid } from '#model/value.ts'
import { cedarTypeName, isActionType } from '#policy/ask/cedar-name.ts'

/** Something that a search can look at. */
export interface Sought {
  /** As the wire names it: id of a subject or resource, name of an action. */
  readonly id: string
  readonly uid: EntityUid
}

const TOOL = 'Warder::Tool'
const ACTION = 'Warder::Action'
const RESOURCE = 'Warder::Resource'
const NAMES_OF_TOOLS: ReadonlySet<string> = new Set(['tool', TOOL])
const PARTIES = { agent: 'Warder::Agent', user: 'Warder::User' } as const
/** What a tool is called by, where the tool is the resource (gateways/authzen-tool.ts). */
const CALL = 'tools/call'

/**
 * Everything that a search can look at, in the order of ids (by UTF-16 code units), from behind `after`. Undefined: from the start.
 *
 * Undefined comes in between where others can have their turn. Registered entities of the type, members of an enumerated type, and actions
 * of the schema or the registry: what is nowhere written down can be asked about but not found.
 */
export function soughtAfter(
  request: Pick<AuthorizationRequest, 'tool'> & { readonly search: Search },
  { registry, release }: { readonly registry: RegistrySnapshot; readonly release: Release },
  after: string | undefined,
): Iterable<Sought | undefined> {
  const { open, type, party } = request.search
  if (release.vocabulary === 'own')
    return open === 'action'
      ? ownActions(registry, release, after)
      : ofType(registry, release, cedarTypeName(type), after)
  if (open === 'subject') return party === undefined ? [] : ofType(registry, release, PARTIES[party], after)
  if (open === 'action')
    return request.tool === undefined ? tools(registry, release, ACTION, after) : named([CALL], ACTION, after)
  if (NAMES_OF_TOOLS.has(type)) return tools(registry, release, TOOL, after)
  const cedarType = cedarTypeName(type)
  if (cedarType === 'resource' || cedarType === RESOURCE) return ofType(registry, release, RESOURCE, after)
  return Object.hasOwn(release.schema?.entityTypes ?? {}, cedarType)
    ? ofType(registry, release, cedarType, after)
    : prefixed(registry, `${type}:`, after)
}

function ofType(
  registry: RegistrySnapshot,
  { schema }: Release,
  type: string,
  after: string | undefined,
): Iterable<Sought | undefined> {
  if (isActionType(type)) return []
  const choices = Object.hasOwn(schema?.entityTypes ?? {}, type)
    ? schema?.entityTypes[type]?.choices
    : undefined
  return choices === undefined ? registered(registry, type, '', after) : named(choices, type, after)
}

/** Things of a kind that the schema does not declare: `kind:id` among the resources. */
function prefixed(
  registry: RegistrySnapshot,
  prefix: string,
  after: string | undefined,
): Iterable<Sought | undefined> {
  return registered(registry, RESOURCE, prefix, after)
}

function* registered(
  registry: RegistrySnapshot,
  type: string,
  prefix: string,
  after: string | undefined,
): Iterable<Sought | undefined> {
  // No text stands between one and the same with the smallest character behind it.
  const from = after === undefined ? prefix : `${prefix}${after}\u0000`
  for (const entity of registry.inOrder(type, from)) {
    if (entity === undefined) yield undefined
    else if (entity.uid.id.startsWith(prefix))
      yield { id: entity.uid.id.slice(prefix.length), uid: entity.uid }
    else return
  }
}

function named(ids: Iterable<string>, type: string, after: string | undefined): Iterable<Sought> {
  const sorted = [...new Set(ids)].filter((id) => after === undefined || id > after)
  return sorted.sort((a, b) => (a < b ? -1 : 1)).map((id) => ({ id, uid: { type, id } }))
}

function ownActions(
  registry: RegistrySnapshot,
  { schema }: Release,
  after: string | undefined,
): Iterable<Sought | undefined> {
  if (schema === undefined) return registered(registry, 'Action', '', after)
  const declared = schema.actions.map(({ uid }) => uid.id)
  return named(declared, 'Action', after)
}

/** Whatever is registered or declared as a tool; a group of tools is among them, and never allowed. */
function* tools(
  registry: RegistrySnapshot,
  { schema }: Release,
  type: string,
  after: string | undefined,
): Iterable<Sought | undefined> {
  const declared = (schema?.actions ?? []).filter(({ uid }) => uid.type === ACTION)
  const sources = [
    registered(registry, TOOL, '', after),
    registered(registry, ACTION, '', after),
    named(
      declared.map(({ uid }) => uid.id),
      ACTION,
      after,
    ),
  ]
  for (const sought of inOneOrder(sources))
    yield sought === undefined ? undefined : { id: sought.id, uid: { type, id: sought.id } }
}

/** Several sources, each in the order of ids, as one; what several have comes once. */
function* inOneOrder(sources: readonly Iterable<Sought | undefined>[]): Generator<Sought | undefined> {
  const runs: Run[] = []
  for (const source of sources) {
    const rest = source[Symbol.iterator]()
    runs.push({ rest, head: yield* nextOf(rest) })
  }
  for (let least = leastOf(runs); least !== undefined; least = leastOf(runs)) {
    yield least
    for (const run of runs) if (run.head?.id === least.id) run.head = yield* nextOf(run.rest)
  }
}

/** What is left of one source: its next, and what comes behind. */
interface Run {
  readonly rest: Iterator<Sought | undefined>
  head: Sought | undefined
}

function leastOf(runs: readonly Run[]): Sought | undefined {
  let least: Sought | undefined
  for (const { head } of runs)
    if (head !== undefined && (least === undefined || head.id < least.id)) least = head
  return least
}

/** What comes next, with the places for others before it passed on; undefined at the end. */
function* nextOf(rest: Iterator<Sought | undefined>): Generator<undefined, Sought | undefined> {
  for (;;) {
    const step = rest.next()
    if (step.done === true) return undefined
    if (step.value !== undefined) return step.value
    yield undefined
  }
}
