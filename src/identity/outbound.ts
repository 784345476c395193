import { lookup } from 'node:dns'
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { mayReach } from './addresses.ts'
import { isLoopbackHost } from './loopback.ts'

/** One call of ours to an issuer. */
export interface OutboundRequest {
  /** `https`; `http` only to this machine and only with `privateNetwork`. */
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  /** Whether the name may resolve to private networks and this machine. Default false. */
  readonly privateNetwork?: boolean
  /** Longest answer. Default 65,536. */
  readonly bytesMax?: number
  /** Client certificate with its key, PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Ends the call early; so does the time that it may take. */
  readonly signal?: AbortSignal
  /** How long it may take. Default 5,000, at most 30,000. */
  readonly timeoutMilliseconds?: number
}

/** What came back; redirects are answers like others and never followed. */
export interface OutboundAnswer {
  readonly status: number
  /** Lower case, without parameters; empty where there is none. */
  readonly contentType: string
  readonly body: string
}

/** There was an answer, and it is too long or not UTF-8. */
export class UnreadableAnswer extends Error {}

/**
 * The name of the host is unknown, or leads where nobody may reach. Its message says which of the two: for the operator alone, since
 * it says which names there are in networks that are not public.
 */
export class UnreachableHost extends Error {}

/** Makes a call; rejects when it can't be made, or with `UnreadableAnswer`. Messages hold no secret. */
export type SendOutbound = (request: OutboundRequest) => Promise<OutboundAnswer>

const BYTES_MAX = 65_536
const TIMEOUT_MILLISECONDS = 5_000
const TIMEOUT_MILLISECONDS_MAX = 30_000
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Sends a request to a URL that somebody configured, without becoming the means to reach what only we can reach.
 *
 * INVARIANT: the address that is checked is the address that is connected to. The check runs inside the connection's own
 * name resolution, so a name that answers differently the second time gains nothing.
 */
export const sendOutbound: SendOutbound = async (request) => {
  const url = new URL(request.url)
  const privateNetwork = request.privateNetwork === true
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (
    url.protocol !== 'https:' &&
    !(url.protocol === 'http:' && privateNetwork && isLoopbackHost(url.hostname))
  )
    throw new Error('the URL is not https')
  // A host that is an address is never resolved, so it is checked here.
  if (isIP(host) !== 0 && !mayReach(host, privateNetwork)) throw refusedAddress()
  const wanted = request.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS
  const deadline = AbortSignal.timeout(Math.min(wanted, TIMEOUT_MILLISECONDS_MAX))
  const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline])
  const options = {
    method: request.method ?? 'GET',
    headers: { accept: 'application/json', ...request.headers },
    agent: false as const,
    lookup: guardedLookup(privateNetwork),
    signal,
    ...request.tls,
  }
  const made = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
  const response = await answered(made, request.body)
  const body = await readBounded(response, request.bytesMax ?? BYTES_MAX)
  const contentType = (response.headers['content-type'] ?? '').split(';', 1)[0] ?? ''
  return { status: response.statusCode ?? 0, contentType: contentType.trim().toLowerCase(), body }
}

/** Refuses a name when any of its addresses may not be reached: which one is used is not ours to choose. */
function guardedLookup(privateNetwork: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(new UnreachableHost(error.message, { cause: error }), '')
      const [first] = addresses
      const isFine = addresses.every(({ address }) => mayReach(address, privateNetwork))
      if (first === undefined || !isFine) return callback(refusedAddress(), '')
      if (options.all) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}

function refusedAddress(): UnreachableHost {
  return new UnreachableHost(
    'the URL leads into a network that is not public; see `private_network` in docs/identity.md',
  )
}

function answered(made: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    made.once('response', resolve)
    made.once('error', reject)
    made.end(body)
  })
}

async function readBounded(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response) {
    if (!(chunk instanceof Uint8Array)) throw new Error('the answer is not bytes')
    bytes += chunk.length
    // Leaving the loop destroys the response, so an endless answer stops here.
    if (bytes > bytesMax) throw new UnreadableAnswer(`the answer is larger than ${bytesMax / 1024} KiB`)
    chunks.push(chunk)
  }
  try {
    return utf8.decode(Buffer.concat(chunks))
  } catch {
    throw new UnreadableAnswer('the answer is not UTF-8')
  }
}
