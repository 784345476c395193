import type { HeaderMap } from './headers.ts'

/** Whether Envoy says that the body it sent along is all of it. It removes a client's own header of this name. */
export function isWholeBody(headers: HeaderMap): boolean {
  const values = headers.get('x-envoy-auth-partial-body') ?? []
  return values.every((value) => value.trim().toLowerCase() === 'false')
}
