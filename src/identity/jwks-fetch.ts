import { isLoopbackHost } from './loopback.ts'

/** Fetches a JWKS document; rejects on anything but a 200 with JSON of acceptable size. */
export type FetchJwks = (url: string, signal: AbortSignal) => Promise<unknown>

const BODY_BYTES_MAX = 65_536
const TIMEOUT_MILLISECONDS = 5_000
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * A fetcher for JWKS URLs: https only, no redirects, at most 64 KiB, at most 5 seconds for everything.
 *
 * @param allowLoopbackHttp also accepts `http` on this machine, for development and tests. Default false.
 */
export function createFetchJwks(allowLoopbackHttp = false): FetchJwks {
  return async (url, signal) => {
    const { protocol, hostname } = new URL(url)
    if (protocol !== 'https:' && !(allowLoopbackHttp && protocol === 'http:' && isLoopbackHost(hostname)))
      throw new Error('the JWKS URL is not https')
    const response = await fetch(url, {
      redirect: 'error',
      headers: { accept: 'application/jwk-set+json, application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MILLISECONDS)]),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`the JWKS URL answered ${response.status}`)
    }
    return JSON.parse(await readBounded(response)) as unknown
  }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    // Leaving the loop cancels the body, so an endless answer stops here.
    if (bytes > BODY_BYTES_MAX) throw new Error('the JWKS document is larger than 64 KiB')
    chunks.push(chunk)
  }
  return utf8.decode(Buffer.concat(chunks))
}
