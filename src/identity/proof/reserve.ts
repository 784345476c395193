import { stop } from '#identity/stop.ts'
import { PROOF_ALGORITHMS } from '#model/challenge.ts'
import type { Stop } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { Once } from './possession.ts'
import type { ReplayStore, Reserved } from './replay.ts'

/** Takes a proof for a request; a denial when it was used before or nobody can say. */
export type ReserveProof = (once: Once, request: AuthorizationRequest) => Promise<Stop | undefined>

const RETRY_AFTER_SECONDS = 1

/**
 * Takes each proof once over a store. All questions of one batch, and the same question judged anew, share what the first of
 * them got: they are one call of the client. That nobody could say is not shared with who asks later.
 */
export function createReserveProof(store: ReplayStore, onFault: (error: unknown) => void): ReserveProof {
  const taken = new WeakMap<object, Map<string, Promise<Reserved | 'unavailable'>>>()
  const ask = async (once: Once, request: AuthorizationRequest): Promise<Reserved | 'unavailable'> => {
    try {
      return await store.reserve({ ...once, now: request.now })
    } catch (error) {
      onFault(error)
      return 'unavailable'
    }
  }
  return async (once, request) => {
    const call = request.batch ?? request
    const mine = taken.get(call) ?? new Map<string, Promise<Reserved | 'unavailable'>>()
    taken.set(call, mine)
    const pending = mine.get(once.key) ?? ask(once, request)
    mine.set(once.key, pending)
    const reserved = await pending
    if (reserved === 'unavailable' && mine.get(once.key) === pending) mine.delete(once.key)
    return denialOf(reserved)
  }
}

/** INVARIANT: fail closed. A store that can't be asked, or that has forgotten, denies. */
function denialOf(reserved: Reserved | 'unavailable'): Stop | undefined {
  const challenge = { scheme: 'DPoP', error: 'invalid_dpop_proof', algorithms: PROOF_ALGORITHMS } as const
  if (reserved === 'first' || reserved === 'retry') return undefined
  if (reserved === 'unavailable')
    return { ...stop('pop.unavailable'), retryAfterSeconds: RETRY_AFTER_SECONDS }
  if (reserved === 'replayed') return { ...stop('pop.replayed'), challenge }
  return { ...stop('pop.time', 'the proof is older than what the replay store remembers'), challenge }
}
