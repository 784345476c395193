import { authenticated } from '#identity/client-authentication.ts'
import type { OutboundRequest, SendOutbound } from '#identity/outbound.ts'
import { parseStrictObject } from '#identity/strict-json.ts'
import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { ClientCredentials } from '#model/issuer.ts'

/** How Warder proves itself to a transmitter. */
export interface TransmitterAccess {
  /** Undefined: the secret itself is the access token. */
  readonly client?: AccessClient | undefined
  /** An access token, a private JWK, a client secret, or PEM text with key and certificate; sealed wherever it is stored. */
  readonly secret: string
}

/** The OAuth client that Warder is, and where its access tokens come from. */
interface AccessClient extends Omit<ClientCredentials, 'secret'> {
  readonly tokenUrl: string
  /** What the access token is asked for, such as `ssf.manage ssf.read`; undefined: what the client gets without asking. */
  readonly scope?: string
}

/** Members of a file that `parseAccess` reads. */
export const ACCESS_MEMBERS = ['token_url', 'client_id', 'authentication', 'scope', 'secret'] as const

const AUTHENTICATIONS = ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'] as const
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/

/** Reads how Warder proves itself; the failure names the member, which lies in the member `within` of the file. */
export function parseAccess(
  record: { readonly [name: string]: unknown },
  within: string,
): Result<TransmitterAccess, string> {
  const { secret, token_url: tokenUrl, client_id: clientId, authentication: wanted, scope } = record
  if (typeof secret !== 'string' || secret === '') return failed(`\`${within}.secret\` is missing`)
  if ([tokenUrl, clientId, wanted, scope].every((each) => each === undefined))
    return success({ secret, client: undefined })
  if (!isUrl(tokenUrl))
    return failed(`\`${within}.token_url\` must be a URL without credentials and fragment`)
  if (typeof clientId !== 'string' || clientId === '') return failed(`\`${within}.client_id\` is missing`)
  const authentication = AUTHENTICATIONS.find((each) => each === (wanted ?? 'private_key_jwt'))
  if (authentication === undefined)
    return failed(`\`${within}.authentication\` must be one of ${AUTHENTICATIONS.join(', ')}`)
  if (scope !== undefined && !(typeof scope === 'string' && SCOPE.test(scope)))
    return failed(`\`${within}.scope\` must be words with one blank between them`)
  const client = { tokenUrl, clientId, authentication, ...(scope !== undefined && { scope }) }
  return success({ secret, client })
}

/** Whether `value` is the text of a URL without credentials and fragment. INVARIANT: lists show such URLs, so they hold no secret. */
export function isUrl(value: unknown): value is string {
  const url = typeof value === 'string' ? URL.parse(value) : null
  return url !== null && url.username === '' && url.password === '' && url.hash === ''
}

/** Whether `url` may be called at all: `http` leads to this machine only, and only with `privateNetwork`. */
export function isCallable(url: unknown, privateNetwork: boolean): url is string {
  const scheme = isUrl(url) ? URL.parse(url)?.protocol : undefined
  return scheme === 'https:' || (scheme === 'http:' && privateNetwork)
}

/** Who calls a transmitter: the secret is in the clear. */
export interface Caller {
  readonly stream: string
  readonly issuer: string
  readonly privateNetwork: boolean
  readonly access: TransmitterAccess
}

/** Access tokens for transmitters, kept until shortly before they end. */
export interface TransmitterTokens {
  /** @throws when the token endpoint gives none; the message holds no secret */
  tokenFor(caller: Caller): Promise<string>
  /** Forgets a token that was refused. */
  forget(stream: string): void
}

const KEPT_MAX = 1_000
const EARLY_SECONDS = 30
const LIFETIME_SECONDS = { default: 60, max: 3_600 }

/** Tokens by the client credentials grant (RFC 6749 section 4.4). */
export function createTransmitterTokens(send: SendOutbound, clock: Clock): TransmitterTokens {
  const kept = new Map<string, { readonly key: string; readonly token: string; readonly until: number }>()
  return {
    async tokenFor(caller) {
      const { client, secret } = caller.access
      if (client === undefined) return secret
      const key = JSON.stringify([client, secret])
      const known = kept.get(caller.stream)
      if (known?.key === key && known.until > clock()) return known.token
      const now: EpochMilliseconds = clock()
      const answer = await send(await tokenRequest(client, caller, now))
      if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}`)
      const {
        access_token: token,
        token_type: type,
        expires_in: seconds,
      } = parseStrictObject(answer.body) ?? {}
      if (typeof token !== 'string' || token === '' || String(type).toLowerCase() !== 'bearer')
        throw new Error('the token endpoint gave no bearer token')
      const lifetime = typeof seconds === 'number' ? seconds : LIFETIME_SECONDS.default
      if (kept.size >= KEPT_MAX) kept.clear()
      const until = now + (Math.min(lifetime, LIFETIME_SECONDS.max) - EARLY_SECONDS) * 1000
      kept.set(caller.stream, { key, token, until })
      return token
    },
    forget: (stream) => {
      kept.delete(stream)
    },
  }
}

async function tokenRequest(
  { tokenUrl, scope, ...client }: AccessClient,
  { issuer, privateNetwork, access: { secret } }: Caller,
  now: EpochMilliseconds,
): Promise<OutboundRequest> {
  const form = { grant_type: 'client_credentials', ...(scope !== undefined && { scope }) }
  const post = { url: tokenUrl, form, accept: 'application/json' }
  return await authenticated(post, { ...client, secret }, secret, { issuer, privateNetwork }, now)
}

/**
 * The client certificate that goes with the access tokens of a client that proves itself by one: such tokens may be bound to it
 * (RFC 8705 section 3).
 */
export function certificateOf({ client, secret }: TransmitterAccess): Pick<OutboundRequest, 'tls'> {
  return client?.authentication === 'tls_client_auth' ? { tls: { cert: secret, key: secret } } : {}
}
