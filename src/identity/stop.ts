import type { Stop } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'

/** The denial with `code` and its public text; `detail` is for operators and must never hold a token or key. */
export function stop(code: ReasonCode, detail?: string): Stop {
  return { code, message: REASONS[code], ...(detail !== undefined && { detail }) }
}
