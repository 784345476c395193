import type {
  CheckParseAnswer,
  DetailedError,
  Response,
  StatefulAuthorizationCall,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs'
import { loadCedar } from '#policy/load-cedar.ts'
import type { EngineFault } from '#policy/port.ts'

/** A call that gave no answer. After a trap the instance is gone, and every prepared slot with it. */
export interface CallFault extends EngineFault {
  readonly trapped: boolean
}

/** One guarded Cedar instance. No call throws; a trapped instance is replaced before the next call. */
export interface Engine {
  /** Rises whenever the instance was replaced: whatever was prepared before is gone. */
  readonly generation: number
  /** Traps since the start, for metrics. */
  readonly traps: number
  /** A slot name that nobody else uses. */
  reserve(): string
  /** Parses policies (text by id) into a slot; what it held before is freed. */
  prepare(slot: string, policies: { readonly [id: string]: string }): CallFault | undefined
  authorize(call: StatefulAuthorizationCall): Response | CallFault
  /** Whether a known allow and a known deny come out right, through the same calls that decisions use. */
  probe(): boolean
}

type Cedar = {
  readonly preparsePolicySet: (
    slot: string,
    policies: { staticPolicies: Record<string, string> },
  ) => CheckParseAnswer
  readonly statefulIsAuthorized: typeof statefulIsAuthorized
}

const PROBE_POLICIES = {
  permit: 'permit(principal == Probe::"known", action, resource) when { context.n + 1 == 2 };',
  forbid: 'forbid(principal, action == Action::"forbidden", resource in Probe::"parent");',
}

/** Makes an engine with an instance of its own. The instance is loaded by the first call (about 30 ms). */
export function createEngine(): Engine {
  let instance: Cedar | undefined
  let generation = 0
  let traps = 0
  let reserved = 0

  // INVARIANT: every call into wasm goes through here. After a trap the instance's stack is damaged and each later
  // call on it would fail for ever, so it is dropped at once.
  const guarded = <Answer>(call: (cedar: Cedar) => Answer): Answer | CallFault => {
    try {
      instance ??= loadCedar()
      return call(instance)
    } catch (error) {
      const trapped = isTrap(error)
      if (trapped) {
        instance = undefined
        generation += 1
        traps += 1
      }
      return callFault(trapped ? 'the engine trapped' : 'the engine could not read the call', error, trapped)
    }
  }

  const engine: Engine = {
    get generation() {
      return generation
    },
    get traps() {
      return traps
    },
    reserve: () => {
      reserved += 1
      return `slot-${reserved}`
    },
    prepare: (slot, policies) => {
      const answer = guarded((cedar) => cedar.preparsePolicySet(slot, { staticPolicies: { ...policies } }))
      if ('trapped' in answer) return answer
      return answer.type === 'success' ? undefined : refusal('the engine refused a policy', answer.errors)
    },
    authorize: (call) => {
      const answer = guarded((cedar) => cedar.statefulIsAuthorized(call))
      if ('trapped' in answer) return answer
      return answer.type === 'success'
        ? answer.response
        : refusal('the engine refused the query', answer.errors)
    },
    probe: () => probe(engine),
  }
  return engine
}

/** RuntimeError (a trap) and RangeError (a stack overflow, which leaks the engine's own stack); anything unfamiliar too. */
function isTrap(error: unknown): boolean {
  return !(error instanceof Error) || (error.name !== 'Error' && error.name !== 'TypeError')
}

function probe(engine: Engine): boolean {
  const slot = 'probe'
  if (engine.prepare(slot, PROBE_POLICIES) !== undefined) return false
  const ask = (id: string, action: string): string | undefined => {
    const answer = engine.authorize({
      principal: { type: 'Probe', id },
      action: { type: 'Action', id: action },
      resource: { type: 'Probe', id: 'child' },
      context: { n: 1 },
      preparsedPolicySetId: slot,
      entities: [
        { uid: { type: 'Probe', id: 'child' }, attrs: {}, parents: [{ type: 'Probe', id: 'parent' }] },
      ],
    })
    return 'decision' in answer ? `${answer.decision} ${answer.diagnostics.reason.join()}` : undefined
  }
  return (
    ask('known', 'allowed') === 'allow permit' &&
    ask('known', 'forbidden') === 'deny forbid' &&
    ask('other', 'allowed') === 'deny '
  )
}

function refusal(what: string, errors: readonly DetailedError[]): CallFault {
  return callFault(what, errors[0]?.message ?? 'no message', false)
}

function callFault(what: string, cause: unknown, trapped: boolean): CallFault {
  const message = cause instanceof Error ? cause.message : String(cause)
  return { kind: 'engine', detail: `${what}: ${withoutValues(message)}`, trapped }
}

/** The engine's messages quote context values, which may be secret: only the words before the first quotation remain. */
function withoutValues(message: string): string {
  return (/^[^`'"{[]*/.exec(message)?.[0] ?? '').trim()
}
