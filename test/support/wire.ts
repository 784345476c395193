import type { WireRequest } from '#gateways/wire.ts'

/** A request as a listener hands it to a dialect. */
export function wire(parts: {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string | Uint8Array
}): WireRequest {
  const body = parts.body ?? ''
  return {
    method: parts.method ?? 'POST',
    rawUrl: parts.target ?? '/',
    rawHeaders: (parts.headers ?? []).flat(),
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
    peer: '127.0.0.1',
  }
}

/** A JSON body with its content type. */
export function jsonWire(
  target: string,
  body: unknown,
  headers: readonly (readonly [string, string])[] = [],
): WireRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return wire({ target, headers: [['Content-Type', 'application/json'], ...headers], body: text })
}
