import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLocalJWKSet, exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import Provider, { type GrantContext } from 'oidc-provider'

/** Audience of the tokens that agents come with. */
export const TOOLS = 'https://tools.example'
/** An upstream whose tokens the server refuses. */
export const FORBIDDEN = 'https://forbidden.example'

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const PARAMETERS = [
  ...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type'],
  ...['requested_token_type', 'audience', 'resource', 'scope'],
]

/** What Warder sent with one exchange. */
export interface SeenExchange {
  readonly audience: string | undefined
  readonly scope: string | undefined
  readonly resource: string | undefined
  readonly actor: string | undefined
  readonly subject: string
  /** The token that was issued; undefined where it was refused. */
  readonly issued: string | undefined
}

/** A real authorization server on loopback that exchanges tokens (RFC 8693) and ends them (RFC 7009). */
export interface ExchangeServer {
  readonly issuer: string
  /** The issuer file of `warder issuer add`; `more` replaces members of `token_exchange`. */
  file(more?: object): object
  /** An access token (RFC 9068) of this server for `agent` acting for `user`. */
  token(agent: string, user: string, claims?: object): Promise<string>
  readonly exchanges: readonly SeenExchange[]
  /** Requests to the revocation endpoint so far. */
  readonly revocations: number
  /** Whether a token that was issued in an exchange is still good. */
  isActive(token: string): Promise<boolean>
  /** Answers every request so, or does not at all; undefined: as it should. */
  break(answer: ((response: ServerResponse, path: string) => void) | undefined): void
  close(): Promise<void>
}

/** Starts oidc-provider with a client `warder` that may exchange tokens for opaque ones. */
export async function startExchangeServer(lifetimeSeconds = 600): Promise<ExchangeServer> {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  let broken: ((response: ServerResponse, path: string) => void) | undefined
  let revocations = 0
  const exchanges: SeenExchange[] = []
  const server = createServer((request, response) => {
    if (request.url === '/token/revocation') revocations += 1
    if (broken === undefined) handle(request, response)
    else broken(response, request.url ?? '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [signing, client] = await Promise.all([makeJwk('k1'), makeJwk('warder')])
  const provider = new Provider(issuer, configuration(signing, client, lifetimeSeconds))
  provider.registerGrantType(GRANT, exchangeOf(provider, issuer, signing, exchanges), PARAMETERS)
  handle = provider.callback()
  return {
    issuer,
    file: (more = {}) => ({
      issuer,
      audience: TOOLS,
      jwks: { keys: [publicOf(signing)] },
      private_network: true,
      token_exchange: {
        url: `${issuer}/token`,
        revocation_url: `${issuer}/token/revocation`,
        client_id: 'warder',
        secret: client,
        ...more,
      },
    }),
    async token(agent, user, claims = {}) {
      return await new SignJWT({ client_id: agent, sid: 's-1', ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' })
        .setIssuer(issuer)
        .setSubject(user)
        .setAudience(TOOLS)
        .setJti(crypto.randomUUID())
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(await importJWK(signing))
    },
    exchanges,
    get revocations() {
      return revocations
    },
    isActive: async (token) => (await provider.ClientCredentials.find(token))?.isValid === true,
    break(answer) {
      broken = answer
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The grant: a subject token of this server for an opaque one. */
function exchangeOf(
  provider: Provider,
  issuer: string,
  signing: JWK,
  exchanges: SeenExchange[],
): (ctx: GrantContext) => Promise<void> {
  const keys = createLocalJWKSet({ keys: [publicOf(signing)] })
  return async (ctx) => {
    const { subject_token: subject = '', actor_token: actor, audience, resource, scope } = ctx.oidc.params
    const options = { issuer, audience: TOOLS, typ: 'at+jwt' }
    const isGood = await jwtVerify(subject, keys, options).then(
      () => true,
      () => false,
    )
    const seen = { audience, scope, resource, actor, subject }
    if (!isGood || audience === FORBIDDEN) {
      exchanges.push({ ...seen, issued: undefined })
      ctx.status = 400
      ctx.body = { error: isGood ? 'invalid_target' : 'invalid_request', error_description: subject }
      return
    }
    const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope })
    token.setAudience(audience ?? TOOLS)
    const issued = await token.save()
    exchanges.push({ ...seen, issued })
    ctx.body = {
      access_token: issued,
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: token.expiration,
      ...(scope !== undefined && { scope }),
    }
  }
}

async function makeJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }
}

function publicOf({ d: _, ...key }: JWK): JWK {
  return key
}

function configuration(signing: JWK, client: JWK, lifetimeSeconds: number): object {
  return {
    jwks: { keys: [signing] },
    clients: [
      {
        client_id: 'warder',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        id_token_signed_response_alg: 'ES256',
        grant_types: [GRANT],
        redirect_uris: [],
        response_types: [],
        jwks: { keys: [publicOf(client)] },
      },
    ],
    ttl: { ClientCredentials: lifetimeSeconds },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
  }
}
