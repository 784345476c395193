import { UnreachableHost } from '#identity/outbound.ts'

/** Why something with another party failed, in two voices. */
export interface Fault {
  /** For whoever manages the stream. */
  readonly told: string
  /** For the operator of this server. */
  readonly logged: string
}

const CHARACTERS_MAX = 300

/** The fault that `error` is, or text that says what is wrong. */
export function faultIn(error: unknown): Fault {
  const { message } = error instanceof Error ? error : { message: error }
  const logged = typeof message === 'string' ? message.slice(0, CHARACTERS_MAX) : 'unknown fault'
  const hidden = error instanceof Error && error.cause instanceof UnreachableHost ? error.cause : error
  // INVARIANT: whoever chooses a URL does not learn which names there are inside, only that one can't be reached.
  return hidden instanceof UnreachableHost
    ? { told: UNREACHABLE, logged: hidden.message }
    : { told: logged, logged }
}

const UNREACHABLE = 'the host has no address that may be reached; see `private_network` in docs/identity.md'

/** Why `work` failed; undefined: it did not. */
export async function faultOf(work: Promise<unknown>): Promise<Fault | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return faultIn(error)
  }
}
