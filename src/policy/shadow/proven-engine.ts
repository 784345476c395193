import type { TenantId } from '#model/ids.ts'
import type { Release } from '#model/release.ts'
import type { TenantState } from '#model/state.ts'
import type { EngineFault, Evaluate, Evaluation, Query } from '#policy/port.ts'
import { askAgain, type CapturedQuery, captureQuery, type Difference, differenceOf } from './capture.ts'
import { checkRelease, type Verdict } from './check-release.ts'
import { agree, createBreathe, liveAnswer, matchingOrdinals } from './compare.ts'
import { generateQueries } from './generate-queries.ts'
import type { AskReference } from './reference.ts'
import { type Backlog, createBacklog, createSample, type Sample } from './sampler.ts'

/** A tenant as far as proving looks at it. */
export type ProvenTenant = Pick<TenantState, 'id' | 'release' | 'registry'>

/** What proving works with. */
export interface ProvingParts {
  /** The fast evaluator that has to prove itself. */
  readonly compiled: Evaluate
  /** The authority on the hot path. */
  readonly reference: Evaluate
  /** The authority beside the hot path. */
  readonly checker: AskReference
  /** Every tenant that is served. */
  readonly tenants: () => Iterable<ProvenTenant>
  readonly onDifference: (difference: Difference) => void
  /** Told when a release could not be proven for another reason. */
  readonly onUnproven: (tenant: TenantId, release: Release, detail: string) => void
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: () => number
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number
  /** Share of live decisions that are looked at again. Default 0.01. */
  readonly share?: number
}

/** How a tenant is served. */
export type Standing = 'compiled' | 'checking' | 'unproven' | 'different'

/** For metrics. */
export interface ProvingStats {
  /** Comparisons by where they were made and how they came out. */
  readonly comparisons: { readonly [source in Difference['source']]: Comparisons }
  /** Samples for which there was no room. */
  readonly dropped: number
  /** Tenants by how they are served. */
  readonly tenants: { readonly [standing in Standing]: number }
}

/** Counts of one source. */
export interface Comparisons {
  readonly same: number
  readonly different: number
  /** The reference gave no answer. */
  readonly unanswered: number
}

/** An evaluator that is fast where it is proven, and cedar-wasm elsewhere. */
export interface ProvenEngine {
  readonly evaluate: Evaluate
  stats(): ProvingStats
  /** Resolves when every check and sample that was begun is done. */
  idle(): Promise<void>
  close(): void
}

interface Trust {
  readonly tenant: TenantId
  standing: Standing
  readonly sample: Sample
}

interface LiveSample {
  readonly trust: Trust
  readonly release: Release
  readonly query: Query
  readonly answer: Evaluation
}

const SAMPLES_MAX = 256
const RECORDED_MAX = 64
const SCAN_MILLISECONDS = 1_000
/** So many releases wait to be proven without a request that needs them; those that are asked for never wait for more. */
const EAGER_MAX = 16
/** How often a check asks whether its release is still served. */
const QUERIES_BETWEEN_LOOKS = 50

type Counts = { [source in Difference['source']]: { -readonly [key in keyof Comparisons]: number } }

/**
 * Serves each release by cedar-wasm until both evaluators agreed on generated and on recent queries, then by the compiled
 * evaluator with samples of its decisions evaluated again. A tenant with any difference is served by cedar-wasm from
 * then on, whatever release it activates, until the process restarts.
 */
export function createProvenEngine(parts: ProvingParts): ProvenEngine {
  return new Proving(parts)
}

class Proving implements ProvenEngine {
  readonly #parts: ProvingParts
  readonly #random: () => number
  readonly #now: () => number
  readonly #trusts = new WeakMap<Release, Trust>()
  readonly #different = new Set<TenantId>()
  readonly #recorded = new Map<TenantId, CapturedQuery[]>()
  readonly #samples: Backlog<LiveSample>
  readonly #checks: Backlog<() => Promise<void>>
  readonly #scan: NodeJS.Timeout
  readonly #counts: Counts = { activation: zero(), live: zero(), decision: zero() }
  #dropped = 0
  #waiting = 0
  #isClosed: boolean

  constructor(parts: ProvingParts) {
    this.#parts = parts
    this.#isClosed = false
    this.#random = parts.random ?? Math.random
    this.#now = parts.now ?? (() => performance.now())
    this.#samples = createBacklog(SAMPLES_MAX, (sample) => this.#look(sample))
    this.#checks = createBacklog(Number.POSITIVE_INFINITY, (check) => check())
    this.#begin()
    // Releases are proven when they come, not when the first request needs them.
    this.#scan = setInterval(() => this.#begin(), SCAN_MILLISECONDS).unref()
  }

  readonly evaluate: Evaluate = (release, queries) => {
    const trust = this.#trusts.get(release) ?? this.#find(release)
    // INVARIANT: only a release that passed its check is decided by the compiled evaluator.
    if (trust?.standing !== 'compiled') return this.#parts.reference(release, queries)
    const answers = this.#parts.compiled(release, queries)
    const isSampled = trust.sample(this.#now())
    return queries.map((query, i) => {
      const answer = answers[i]
      if (answer === undefined || 'kind' in answer) return this.#instead(release, query)
      if (isSampled && !this.#samples.offer({ trust, release, query, answer })) this.#dropped += 1
      return answer
    })
  }

  stats(): ProvingStats {
    const tenants = { compiled: 0, checking: 0, unproven: 0, different: 0 }
    for (const { release } of this.#parts.tenants())
      if (release !== undefined) tenants[this.#trusts.get(release)?.standing ?? 'checking'] += 1
    return { comparisons: this.#counts, dropped: this.#dropped, tenants }
  }

  async idle(): Promise<void> {
    await this.#checks.idle()
    await this.#samples.idle()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#scan)
    this.#checks.close()
    this.#samples.close()
  }

  /** A fault is no answer: the authority gives one, or the fault that is denied. */
  #instead(release: Release, query: Query): Evaluation | EngineFault {
    const [answer] = this.#parts.reference(release, [query])
    return answer ?? { kind: 'engine', detail: 'the engine left a query unanswered' }
  }

  #find(release: Release): Trust | undefined {
    for (const tenant of this.#parts.tenants())
      if (tenant.release === release) return this.#start(tenant, release)
    // The state has moved on under this request.
    return undefined
  }

  #begin(): void {
    const served = new Set<TenantId>()
    for (const tenant of this.#parts.tenants()) {
      served.add(tenant.id)
      const { release } = tenant
      if (this.#waiting < EAGER_MAX && release !== undefined && !this.#trusts.has(release))
        this.#start(tenant, release)
    }
    for (const id of this.#recorded.keys()) if (!served.has(id)) this.#recorded.delete(id)
  }

  #start(tenant: ProvenTenant, release: Release): Trust {
    const known = this.#different.has(tenant.id)
    const sample = createSample(this.#random, this.#parts.share)
    const trust: Trust = { tenant: tenant.id, standing: known ? 'different' : 'checking', sample }
    this.#trusts.set(release, trust)
    if (!known) {
      this.#waiting += 1
      this.#checks.offer(() => this.#check(trust, tenant, release))
    }
    return trust
  }

  #isServed(release: Release): boolean {
    if (this.#isClosed) return false
    for (const tenant of this.#parts.tenants()) if (tenant.release === release) return true
    return false
  }

  *#whileServed(release: Release, queries: Iterable<Query>): Generator<Query> {
    let count = 0
    for (const query of queries) {
      if (count % QUERIES_BETWEEN_LOOKS === 0 && !this.#isServed(release)) return
      count += 1
      yield query
    }
  }

  async #check(trust: Trust, { registry }: ProvenTenant, release: Release): Promise<void> {
    this.#waiting -= 1
    const { compiled, checker } = this.#parts
    const generated = generateQueries(release, registry, this.#random)
    const queries = {
      generated: this.#whileServed(release, generated),
      recorded: (this.#recorded.get(trust.tenant) ?? []).map(askAgain),
    }
    const verdict = await checkRelease(
      { compiled, reference: checker },
      release,
      queries,
      createBreathe(),
      (result) => {
        this.#counts.activation[result] += 1
      },
    ).catch((error: unknown): Verdict => {
      return { kind: 'unproven', detail: error instanceof Error ? error.message : 'unknown fault' }
    })
    if (verdict.kind === 'differs') {
      this.#differs(trust, release, 'activation', verdict.query, verdict, verdict.part)
    } else if (trust.standing === 'checking' && this.#isServed(release)) {
      trust.standing = verdict.kind === 'proven' ? 'compiled' : 'unproven'
      if (verdict.kind === 'unproven') this.#parts.onUnproven(trust.tenant, release, verdict.detail)
    }
  }

  async #look({ trust, release, query, answer }: LiveSample): Promise<void> {
    const { checker } = this.#parts
    const reference = await liveAnswer(checker, release, query).catch(
      (error: unknown): EngineFault => ({ kind: 'engine', detail: String(error) }),
    )
    if ('kind' in reference) {
      this.#counts.live.unanswered += 1
    } else if (agree(reference, answer)) {
      this.#counts.live.same += 1
      this.#record(trust.tenant, query)
    } else {
      this.#counts.live.different += 1
      const ordinals = matchingOrdinals(release, query)
      this.#differs(trust, release, 'live', query, { reference, compiled: answer }, ordinals)
    }
  }

  #record(tenant: TenantId, query: Query): void {
    const recorded = this.#recorded.get(tenant) ?? []
    recorded.push(captureQuery(query))
    if (recorded.length > RECORDED_MAX) recorded.shift()
    this.#recorded.set(tenant, recorded)
  }

  // INVARIANT: the switch is the first thing that happens; the next query of the tenant is answered by cedar-wasm.
  #differs(
    trust: Trust,
    release: Release,
    source: Difference['source'],
    query: Query,
    answers: Pick<Difference, 'reference' | 'compiled'>,
    ordinals: readonly number[],
  ): void {
    this.#different.add(trust.tenant)
    trust.standing = 'different'
    for (const tenant of this.#parts.tenants()) {
      const other = tenant.release && this.#trusts.get(tenant.release)
      if (other !== undefined && tenant.id === trust.tenant) other.standing = 'different'
    }
    this.#parts.onDifference(differenceOf(source, trust.tenant, release, query, answers, ordinals))
  }
}

function zero(): Counts['live'] {
  return { same: 0, different: 0, unanswered: 0 }
}
