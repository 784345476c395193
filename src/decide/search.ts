import { canonicalJson } from '#decision-log/chain.ts'
import type { Found } from '#model/found.ts'
import type { Gateway } from '#model/gateway.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest, Search } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { Reach } from '#policy/compiled/reach.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import { narrow } from '#policy/search/narrow.ts'
import { type Sought, soughtAfter } from '#policy/search/universe.ts'
import { type Judged, stopped } from './judged.ts'
import { JUDGED_MAX, Pace } from './search-pace.ts'

/** Seals the place at which a page ended, so that nobody reads or makes one, for whom `bound` describes. */
export interface SealPlaces {
  sealPlace(place: string, bound: string): string
  /** Undefined for anything that was not sealed for the same `bound`. */
  openPlace(sealed: string, bound: string): string | undefined
}

/** What answering a search takes. */
export interface SearchSteps {
  readonly judgePolicy: JudgePolicy
  /** Undefined: what does not fit on one page is a fault. */
  readonly places?: SealPlaces
}

/** A search with who asks it. */
export interface SearchAsked {
  readonly request: AuthorizationRequest & { readonly search: Search }
  readonly gateway: Gateway
  readonly tenant: TenantState
  readonly release: Release
  /** Undefined where the subject is what is looked for. */
  readonly identity: VerifiedIdentity | undefined
  /** Whether the state kept changing under longer pages: this one is short, and gives way to nobody unless it takes long. */
  readonly isAtOnce: boolean
}

/** Decides one candidate as if it had been asked about, on this policy step. */
export type JudgeOne = (judgePolicy: JudgePolicy, request: AuthorizationRequest) => Judged | Promise<Judged>

/**
 * One page of what would be allowed in the open place of a question.
 *
 * INVARIANT: a result is what the same question with it in the open place is allowed, on the state of now; nothing is shown by a rule
 * of its own. What narrows the search only spares questions whose answer would be a deny. A page that reaches a limit, or that nobody waits
 * for any more, ends early and says so.
 */
export async function judgeSearch(
  steps: SearchSteps,
  asked: SearchAsked,
  judgeOne: JudgeOne,
): Promise<Judged> {
  const bound = boundTo(asked)
  const place = placeOf(steps, asked.request.search, bound)
  if (place === undefined) {
    const stop = { code: 'search.page_token', message: REASONS['search.page_token'] } as const
    return stopped(stop, asked.tenant, asked.identity)
  }
  const page = await lookFor(steps, asked, place, judgeOne)
  return answered(asked, page, page.next === undefined ? '' : sealed(steps, page.next, bound))
}

/** Where a page begins, and how long it may be. */
interface Place {
  readonly after: string | undefined
  readonly limit: number
}

interface Page {
  readonly results: Found['results']
  readonly judged: number
  /** Undefined: there is nothing behind it. */
  readonly next: Place | undefined
}

async function lookFor(
  steps: SearchSteps,
  { request, tenant: { registry }, release, isAtOnce }: SearchAsked,
  { after, limit }: Place,
  judgeOne: JudgeOne,
): Promise<Page> {
  const { search } = request
  const results: Found['results'][number][] = []
  const sieve = new Sieve(search, registry)
  const pace = new Pace(search, isAtOnce)
  let last = after
  await pace.turn()
  for (const sought of soughtAfter(request, { registry, release }, after)) {
    if (sought === undefined) {
      await pace.turn()
      continue
    }
    if (results.length >= limit || pace.isOver || search.isWanted?.() === false)
      return { results, judged: pace.judged, next: { after: last, limit } }
    last = sought.id
    await pace.look()
    const question = sieve.lets(sought) ? search.ask(sought.id) : undefined
    if (question === undefined) continue
    await pace.judge()
    const { judgement } = await judgeOne(sieve.watch(steps.judgePolicy, sought), sharing(question, request))
    if (judgement.effect === 'allow') results.push({ id: sought.id, obligations: judgement.obligations })
    if (sieve.isClosed) break
  }
  return { results, judged: pace.judged, next: undefined }
}

/** All candidates are one question of the caller: they share its proofs. */
function sharing(question: AuthorizationRequest, { batch }: AuthorizationRequest): AuthorizationRequest {
  return batch === undefined ? question : { ...question, batch }
}

/** Leaves out who could not be allowed, from when the policies were asked about the first candidate. */
class Sieve {
  readonly #search: Search
  readonly #registry: RegistrySnapshot
  #reach: Reach | undefined

  constructor(search: Search, registry: RegistrySnapshot) {
    this.#search = search
    this.#registry = registry
  }

  /** Whether nobody could be allowed. */
  get isClosed(): boolean {
    return this.#reach === 'nothing'
  }

  lets({ uid }: Sought): boolean {
    if (typeof this.#reach !== 'function') return true
    return this.#reach({ uid, ancestors: this.#registry.ancestors(uid) })
  }

  /** The policy step, watched for what it is asked about `sought`. */
  watch(judgePolicy: JudgePolicy, { uid }: Sought): JudgePolicy {
    if (this.#reach !== undefined) return judgePolicy
    return (input) => {
      this.#reach = narrow(input, this.#search, uid)
      return judgePolicy(input)
    }
  }
}

function answered(
  { request: { search }, tenant, identity }: SearchAsked,
  { results, judged, next }: Page,
  nextToken: string,
): Judged {
  const shown = results.map(({ id }) => id)
  const { open, type } = search
  return {
    judgement: {
      effect: 'allow',
      reasons: [{ code: 'search.answered', message: REASONS['search.answered'] }],
      obligations: [],
      advice: [],
      expiresAt: undefined,
      trace: { search: { open, type, judged, shown, complete: next === undefined } },
      found: { results, nextToken },
    },
    tenant,
    ...(identity !== undefined && { identity }),
  }
}

/** INVARIANT: a place holds for one gateway, release and question, and for whom it was asked; limit and credentials aside. */
function boundTo({ request, gateway, tenant, release, identity }: SearchAsked): string {
  const { open, question } = request.search
  const parties = [identity?.agent?.id ?? null, identity?.user?.id ?? null]
  return canonicalJson([tenant.id, gateway.id, release.id, open, question, parties])
}

function sealed({ places }: SearchSteps, { after, limit }: Place, bound: string): string {
  if (places === undefined) throw new Error('a page needs a token, and nothing seals it')
  return places.sealPlace(JSON.stringify([limit, ...(after === undefined ? [] : [after])]), bound)
}

/** Undefined for a token of something else, and for another limit than the one that it was made for. */
function placeOf({ places }: SearchSteps, { token, limit }: Search, bound: string): Place | undefined {
  const most = Math.min(limit ?? JUDGED_MAX, JUDGED_MAX)
  if (token === undefined) return { after: undefined, limit: most }
  const opened = places?.openPlace(token, bound)
  const [kept, after]: unknown[] = opened === undefined ? [] : JSON.parse(opened)
  if (typeof kept !== 'number' || (limit !== undefined && kept !== most)) return undefined
  return { after: typeof after === 'string' ? after : undefined, limit: kept }
}
