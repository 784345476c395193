import type { ScopeSide } from '#model/release.ts'
import type { Search } from '#model/request.ts'
import type { EntityUid } from '#model/value.ts'
import type { Asked, PartyQuery, PolicyInput } from '#policy/ask/asked.ts'
import { isActionType } from '#policy/ask/cedar-name.ts'
import { askOwnVocabulary } from '#policy/ask/own-vocabulary.ts'
import { TypeMismatch } from '#policy/ask/typed.ts'
import { askWarderVocabulary } from '#policy/ask/warder-vocabulary.ts'
import { type OpenPart, type Reach, reachOf } from '#policy/compiled/reach.ts'

/** What Warder's vocabulary makes an ancestor of agents, users, tools and resources, registered so or not. */
const TENANT = 'Warder::Tenant'
const TOOL = 'Warder::Tool'

/**
 * What can be said about all candidates of a search from the question about one of them: which could be allowed at all.
 *
 * INVARIANT: never fewer than those that are. Every party must allow, so what one of them rules out is ruled out; a question that
 * can't be asked rules out nothing.
 *
 * @param input what the policies were asked about `probe`
 * @param probe the candidate that was asked about
 */
export function narrow(input: PolicyInput, search: Pick<Search, 'open' | 'party'>, probe: EntityUid): Reach {
  const asked = ask(input)
  if (!asked?.ok) return 'everything'
  const reaches = asked.queries.map((each) => reachOfParty(input, search, each, probe))
  if (reaches.includes('nothing')) return 'nothing'
  const filters = reaches.filter((reach) => typeof reach === 'function')
  return filters.length === 0
    ? 'everything'
    : (candidate: ScopeSide) => filters.every((filter) => filter(candidate))
}

function ask(input: PolicyInput): Asked | undefined {
  try {
    return input.release.vocabulary === 'own' ? askOwnVocabulary(input) : askWarderVocabulary(input)
  } catch (error) {
    if (error instanceof TypeMismatch) return undefined
    throw error
  }
}

function reachOfParty(
  input: PolicyInput,
  { open, party }: Pick<Search, 'open' | 'party'>,
  asked: PartyQuery,
  probe: EntityUid,
): Reach {
  const { query } = asked
  const isOwn = asked.party === 'subject'
  const side = open === 'subject' ? 'principal' : 'resource'
  const isSought = open === 'resource' || (open === 'subject' && (isOwn || asked.party === party))
  // What stands in the place of the candidate is another entity: a delegate of the subject, say.
  if (isSought && !same(query[side], probe)) return 'everything'
  const parts = openParts(open, isSought, isOwn, query.resource)
  const isOpenType = (type: string): boolean =>
    type === probe.type || (parts.has('action') && (isActionType(type) || (!isOwn && type === TOOL)))
  const isAttachedType = (type: string): boolean => !isOwn && type === TENANT
  return reachOf(input.release, { query, open: parts, isOpenType, isAttachedType }, side)
}

/**
 * What of a query differs from one candidate to the next. In Warder's vocabulary the context tells of tool and resource, and the tool is
 * both action and resource where it is what is looked for.
 */
function openParts(
  open: Search['open'],
  isSought: boolean,
  isOwn: boolean,
  resource: EntityUid,
): ReadonlySet<OpenPart> {
  if (open === 'action') return new Set(['action', 'context'])
  const part = open === 'subject' ? 'principal' : 'resource'
  if (isOwn) return new Set([part])
  if (!isSought) return new Set(['context'])
  return new Set(
    part === 'resource' && resource.type === TOOL ? [part, 'action', 'context'] : [part, 'context'],
  )
}

function same(a: EntityUid, b: EntityUid): boolean {
  return a.id === b.id && a.type === b.type
}
