import { authenticated } from '#identity/client-authentication.ts'
import type { OutboundRequest, SendOutbound } from '#identity/outbound.ts'
import { parseStrictObject } from '#identity/strict-json.ts'
import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { ClientCredentials } from '#model/issuer.ts'

/** Where events are fetched (RFC 8936), and how Warder proves itself there. */
export interface PollSource {
  readonly url: string
  /** Whether the transmitter holds a request until there is an event. */
  readonly long: boolean
  /** Undefined: the secret itself is the access token. */
  readonly client?: (Omit<ClientCredentials, 'secret'> & { readonly tokenUrl: string }) | undefined
  /** An access token, a private JWK, a client secret, or PEM text with key and certificate; sealed wherever it is stored. */
  readonly secret: string
}

const MEMBERS = new Set(['url', 'long', 'token_url', 'client_id', 'authentication', 'secret'])
const AUTHENTICATIONS = ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'] as const

/** Reads the member `poll` of a stream file, which may be absent; the failure says what is wrong, with the name of the member. */
export function parsePollSource(value: unknown): Result<{ readonly source?: PollSource }, string> {
  if (value === undefined) return success({})
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return failed('`poll` must be an object')
  const record: { readonly [name: string]: unknown } = { ...value }
  const unknown = Object.keys(record).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) return failed(`\`poll.${unknown.slice(0, 64)}\` is not a member`)
  const { url, long = false, secret, token_url: tokenUrl, client_id: clientId } = record
  if (!isUrl(url)) return failed('`poll.url` must be a URL')
  if (typeof long !== 'boolean') return failed('`poll.long` must be true or false')
  if (typeof secret !== 'string' || secret === '') return failed('`poll.secret` is missing')
  if (tokenUrl === undefined && clientId === undefined && record['authentication'] === undefined)
    return success({ source: { url, long, secret, client: undefined } })
  if (!isUrl(tokenUrl)) return failed('`poll.token_url` must be a URL')
  if (typeof clientId !== 'string' || clientId === '') return failed('`poll.client_id` is missing')
  const wanted = record['authentication'] ?? 'private_key_jwt'
  const authentication = AUTHENTICATIONS.find((each) => each === wanted)
  if (authentication === undefined)
    return failed(`\`poll.authentication\` must be one of ${AUTHENTICATIONS.join(', ')}`)
  return success({ source: { url, long, secret, client: { tokenUrl, clientId, authentication } } })
}

function isUrl(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value)
}

/** Who polls: the source with its secret in the clear. */
export interface Polling {
  readonly stream: string
  readonly issuer: string
  readonly privateNetwork: boolean
  readonly source: PollSource
}

/** Access tokens for transmitters, kept until shortly before they end. */
export interface PollTokens {
  /** @throws when the token endpoint gives none; the message holds no secret */
  tokenFor(polling: Polling): Promise<string>
  /** Forgets a token that was refused. */
  forget(stream: string): void
}

const KEPT_MAX = 1_000
const EARLY_SECONDS = 30
const LIFETIME_SECONDS = { default: 60, max: 3_600 }

/** Tokens by the client credentials grant (RFC 6749 section 4.4). */
export function createPollTokens(send: SendOutbound, clock: Clock): PollTokens {
  const kept = new Map<string, { readonly key: string; readonly token: string; readonly until: number }>()
  return {
    async tokenFor({ stream, issuer, privateNetwork, source }) {
      const { client, secret } = source
      if (client === undefined) return secret
      const key = JSON.stringify([client, secret])
      const known = kept.get(stream)
      if (known?.key === key && known.until > clock()) return known.token
      const now: EpochMilliseconds = clock()
      const post = {
        url: client.tokenUrl,
        form: { grant_type: 'client_credentials' },
        accept: 'application/json',
      }
      const credentials = { ...client, secret }
      const request: OutboundRequest = await authenticated(
        post,
        credentials,
        secret,
        { issuer, privateNetwork },
        now,
      )
      const answer = await send(request)
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
      kept.set(stream, { key, token, until })
      return token
    },
    forget: (stream) => {
      kept.delete(stream)
    },
  }
}
