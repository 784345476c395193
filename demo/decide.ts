import { isObject, type JsonObject, parseJson } from './json.ts'

/** What the gateway asks about one tool call. */
export interface Question {
  readonly tool: { readonly server: string; readonly name: string }
  readonly arguments: JsonObject
  /** The access token as it came with the call; Warder verifies it and reads agent and user from it. */
  readonly accessToken: string
}

/** What Warder answers. */
export interface Verdict {
  readonly allowed: boolean
  /** Code and text of the first reason, for the agent. */
  readonly code: string
  readonly message: string
  readonly obligations: readonly JsonObject[]
  readonly decisionId: string | undefined
}

/** Asks Warder. Never rejects. */
export type Decide = (question: Question) => Promise<Verdict>

const TIMEOUT_MILLISECONDS = 2_000

/** Asks `POST /v1/decide` with the gateway's key. */
export function warderAt(port: number, gatewayKey: string): Decide {
  return async ({ tool, arguments: given, accessToken }) => {
    // INVARIANT: whatever goes wrong on the way to an answer is a deny.
    try {
      const response = await fetch(`http://127.0.0.1:${port}/v1/decide`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ tool, arguments: given, credentials: { access_token: accessToken } }),
        signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
      })
      return verdictOf(response.status, parseJson(await response.text()))
    } catch {
      return unavailable('the policy decision point did not answer')
    }
  }
}

function verdictOf(status: number, answer: unknown): Verdict {
  if (!isObject(answer)) return unavailable('the policy decision point gave no answer')
  const reasons = Array.isArray(answer['reasons']) ? answer['reasons'].filter(isObject) : []
  const reason = reasons[0] ?? (isObject(answer['error']) ? answer['error'] : {})
  const { obligations, decision_id: id } = answer
  return {
    allowed: status === 200 && answer['decision'] === 'allow',
    code: typeof reason['code'] === 'string' ? reason['code'] : 'gateway.unavailable',
    message: typeof reason['message'] === 'string' ? reason['message'] : '',
    obligations: Array.isArray(obligations) ? obligations.filter(isObject) : [],
    decisionId: typeof id === 'string' ? id : undefined,
  }
}

function unavailable(message: string): Verdict {
  return { allowed: false, code: 'gateway.unavailable', message, obligations: [], decisionId: undefined }
}
