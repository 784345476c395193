import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Dialect, Malformed } from '#model/request.ts'

/** The whole path of one request as the edge sees it: never throws, never answers without a log row being accepted. */
export interface Decider {
  /**
   * Decides one request; in `require` mode its row is durable when the promise resolves.
   *
   * @param earlier what the same request was answered when it came before, for a gateway that repeats it. A deny is the answer again.
   *   An allow is judged again, and is the answer where it still stands; else there is a new decision, with a row of its own.
   */
  decide(request: AuthorizationRequest, gateway: Gateway, earlier?: Decision): Promise<Decision>
  /** Logs a request that could not be read as the deny it is; its id goes into the answer's header. */
  refuse(
    malformed: Malformed,
    gateway: Gateway,
    dialect: Dialect,
    requestId: string | undefined,
  ): Promise<Decision>
}
