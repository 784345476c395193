import type { ClientCredentials, Introspection, Issuer, IssuerProfile, TokenExchange } from '#model/issuer.ts'
import {
  type Fields,
  isFields,
  type Report,
  readFlag,
  readNumber,
  readText,
  readUrl,
  refuseUnknown,
} from './issuer-fields.ts'
import { makesAccessTokens } from './profile-rules.ts'

const SECRET_CHARACTERS_MAX = 16_384
const AUTHENTICATIONS: readonly string[] = ['private_key_jwt', 'client_secret_basic', 'tls_client_auth']
const CLIENT_FIELDS = ['url', 'client_id', 'authentication', 'secret']

/** What an issuer file says about calling the issuer. */
export function readClients(
  json: Fields,
  profile: IssuerProfile,
  report: Report,
): Pick<Issuer, 'introspection' | 'tokenExchange'> {
  const { introspection, token_exchange: exchange } = json
  if (!makesAccessTokens({ profile })) {
    if (introspection !== undefined)
      report('introspection', 'this profile makes no access tokens to ask about')
    if (exchange !== undefined) report('token_exchange', 'this profile makes no access tokens to exchange')
    return {}
  }
  const asks = introspection === undefined ? undefined : readIntrospection(introspection, report)
  const exchanges = exchange === undefined ? undefined : readTokenExchange(exchange, report)
  return {
    ...(asks !== undefined && { introspection: asks }),
    ...(exchanges !== undefined && { tokenExchange: exchanges }),
  }
}

function readIntrospection(value: unknown, report: Report): Introspection | undefined {
  if (!isFields(value)) return report('introspection', 'must be an object')
  refuseUnknown(value, [...CLIENT_FIELDS, 'cache_seconds_max', 'signed'], 'introspection.', report)
  const inside = within('introspection', report)
  const url = readUrl(value['url'], 'introspection.url', report)
  const client = readClient(value, inside)
  const cacheSecondsMax = readNumber(value, 'cache_seconds_max', [0, 60], inside) ?? 30
  const signed = readFlag(value, 'signed', inside)
  return url === undefined || client === undefined ? undefined : { url, ...client, cacheSecondsMax, signed }
}

function readTokenExchange(value: unknown, report: Report): TokenExchange | undefined {
  if (!isFields(value)) return report('token_exchange', 'must be an object')
  refuseUnknown(value, [...CLIENT_FIELDS, 'revocation_url', 'actor_token'], 'token_exchange.', report)
  const inside = within('token_exchange', report)
  const url = readUrl(value['url'], 'token_exchange.url', report)
  const client = readClient(value, inside)
  const revocation = value['revocation_url']
  const revocationUrl =
    revocation === undefined ? undefined : readUrl(revocation, 'token_exchange.revocation_url', report)
  const actorToken = readFlag(value, 'actor_token', inside)
  if (url === undefined || client === undefined) return undefined
  return { url, ...client, ...(revocationUrl !== undefined && { revocationUrl }), actorToken }
}

function within(name: string, report: Report): Report {
  return (path, message) => report(`${name}.${path}`, message)
}

function readClient(value: Fields, report: Report): ClientCredentials | undefined {
  const clientId = readText(value['client_id'], 'client_id', report)
  const secret = readSecret(value['secret'], report)
  const authentication = value['authentication'] ?? 'private_key_jwt'
  if (!isAuthentication(authentication))
    return report('authentication', `must be one of ${AUTHENTICATIONS.join(', ')}`)
  return clientId === undefined || secret === undefined ? undefined : { clientId, authentication, secret }
}

/** Text, or a private JWK as JSON. INVARIANT: a problem never repeats it. */
function readSecret(value: unknown, report: Report): string | undefined {
  const text = isFields(value) ? JSON.stringify(value) : value
  return typeof text === 'string' && text !== '' && text.length <= SECRET_CHARACTERS_MAX
    ? text
    : report('secret', 'is required: a private JWK, a client secret, or PEM text with key and certificate')
}

function isAuthentication(value: unknown): value is ClientCredentials['authentication'] {
  return typeof value === 'string' && AUTHENTICATIONS.includes(value)
}
