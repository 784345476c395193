import type { CallAnswer, Warder } from './client.ts'
import { UNAVAILABLE } from './http-call.ts'

/** What the middleware uses of Hono's context. */
export interface HonoContext {
  readonly req: { raw: Request }
  res: Response
  set(name: 'warder', value: Extract<CallAnswer, { allowed: true }>): void
}

/**
 * Middleware for Hono: runs the handlers behind it only for calls that Warder allows; what was decided is in `c.get('warder')`.
 * With `warder.follow()` the answer's body is cut as soon as its allow may no longer hold, and nothing runs while that can't be known.
 *
 * @param externalUrl scheme and host under which clients know this service, when a proxy stands before it
 */
export function warderForHono(warder: Warder, externalUrl?: string) {
  return async (c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> => {
    const given = c.req.raw
    const { signal, release } = warder.hold()
    const { host, protocol } = new URL(externalUrl ?? given.url)
    const answer = await warder.check({
      method: given.method,
      target: targetOf(given.url),
      host,
      scheme: protocol === 'https:' ? 'https' : 'http',
      headers: [...given.headers],
    })
    if (!answer.allowed || signal.aborted) {
      release()
      return refused(answer.allowed ? UNAVAILABLE : answer)
    }
    const headers = new Headers(given.headers)
    for (const [name, value] of answer.headers) {
      if (value === undefined) headers.delete(name)
      else headers.set(name, value)
    }
    c.req.raw = new Request(given, { headers })
    c.set('warder', answer)
    await next()
    c.res = held(c.res, signal, release)
    return undefined
  }
}

function refused({ status, headers, body }: Extract<CallAnswer, { allowed: false }>): Response {
  const all = new Headers([...headers.map(([name, value]): [string, string] => [name, value])])
  all.set('cache-control', 'no-store')
  return new Response(body, { status, headers: all })
}

/** Path and query as they stand in the URL, which the server made of the request line. */
function targetOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start < 0 ? '/' : url.slice(start)
}

/** INVARIANT: an answer that outlives its allow is cut. */
function held(response: Response, signal: AbortSignal, release: () => void): Response {
  if (response.body === null) {
    release()
    return response
  }
  const body = response.body.pipeThrough(new TransformStream({ flush: release }), { signal })
  return new Response(body, response)
}
