import type { AuthorizationRequest } from '#model/request.ts'
import type { Caller } from './call.ts'
import { type CapabilitySteps, capabilitiesToSign, signedCapabilities } from './capabilities.ts'
import { type ExchangeSteps, exchangeToDo, exchangeToken } from './exchange.ts'
import type { Judged } from './judged.ts'

/** What completing an allow takes. */
export interface CompleteSteps extends ExchangeSteps, CapabilitySteps {}

/** What an allow takes along that is made for it: another token, a signed list. Undefined: nothing. */
export function completeAllow(
  steps: CompleteSteps,
  caller: Caller,
  judged: Judged,
  request: AuthorizationRequest,
): Promise<Judged> | undefined {
  const offered = capabilitiesToSign(steps, judged, request, caller)
  const toDo = exchangeToDo(steps, judged, request, caller)
  if (offered === undefined) return toDo && exchangeToken(steps, caller, judged, toDo, request)
  const signed = signedCapabilities(steps, caller, judged, offered, request)
  if (toDo === undefined) return signed
  return signed.then((found) =>
    found.judgement.effect === 'allow' ? exchangeToken(steps, caller, found, toDo, request) : found,
  )
}
