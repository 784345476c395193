import type { Result } from '#lib/result.ts'

/** Why a call was not done, as it is answered (RFC 9457). */
export class Problem extends Error {
  readonly status: ProblemStatus
  readonly code: string
  readonly help: string | undefined
  /** Where in the body; absent where it is not about parts of it. */
  readonly errors: readonly object[] | undefined

  constructor(status: ProblemStatus, code: string, detail: string, more: ProblemDetails = {}) {
    super(detail)
    this.status = status
    this.code = code
    this.help = more.help
    this.errors = more.errors?.length === 0 ? undefined : more.errors
  }
}

/** Statuses of refused calls. */
export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 500 | 503

interface ProblemDetails {
  readonly help?: string | undefined
  readonly errors?: readonly object[]
}

interface Failure {
  readonly code: string
  readonly message: string
  readonly help?: string
  readonly kind: 'input' | 'refused'
  readonly problems?: readonly object[]
  readonly diagnostics?: readonly object[]
}

const TITLES: { readonly [status in ProblemStatus]: string } = {
  400: 'the request is wrong',
  401: 'an admin token is needed',
  403: 'the token may not do this',
  404: 'not found',
  405: 'this path takes another method',
  409: 'the present state does not allow this',
  413: 'the body is too large',
  415: 'the body must be sent as application/json',
  500: 'the request failed',
  503: 'try again later',
}

/** The value of an operation. @throws {Problem} when it was refused */
export function unwrap<Value>(result: Result<Value, Failure>): Value {
  if (result.ok) return result.value
  const { code, message, help, kind, problems, diagnostics } = result.failure
  if (code === 'tenant.unknown') throw tenantNotFound()
  throw new Problem(statusOf(code, kind), code, message, { help, errors: problems ?? diagnostics ?? [] })
}

/** INVARIANT: the same bytes for a tenant that does not exist and for one that the token may not see. */
export function tenantNotFound(): Problem {
  return new Problem(404, 'tenant.unknown', 'there is no such tenant, or this token may not see it')
}

/** The body of the answer; the media type is `application/problem+json`. */
export function problemBody({ status, code, message, help, errors }: Problem): object {
  const base = { type: 'about:blank', title: TITLES[status], status, detail: message, code }
  return { ...base, ...(help !== undefined && { help }), ...(errors !== undefined && { errors }) }
}

function statusOf(code: string, kind: Failure['kind']): ProblemStatus {
  if (kind === 'input') return 400
  return code.endsWith('.unknown') ? 404 : 409
}
