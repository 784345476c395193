import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Dialect, Malformed } from '#model/request.ts'

/** The whole path of one request as the edge sees it: never throws, never answers without a log row being accepted. */
export interface Decider {
  /** Decides one request; in `require` mode its row is durable when the promise resolves. */
  decide(request: AuthorizationRequest, gateway: Gateway): Promise<Decision>
  /** Logs a request that could not be read as the deny it is; its id goes into the answer's header. */
  refuse(
    malformed: Malformed,
    gateway: Gateway,
    dialect: Dialect,
    requestId: string | undefined,
  ): Promise<Decision>
}
