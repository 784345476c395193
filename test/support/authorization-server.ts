import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, request as requestTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import Provider from 'oidc-provider'
import { type Credentials, newAuthority } from './certificates.ts'

export const RESOURCE = 'https://tools.example/mcp'

/** A real authorization server on loopback. */
export interface AuthorizationServer {
  readonly issuer: string
  /** Private key of the resource server, with which it introspects. */
  readonly resourceKey: JWK
  /** A token of the client `agent-1`, by client credentials. */
  token(format: TokenFormat, headers?: { readonly [name: string]: string }): Promise<string>
  /** A token of the client `agent-tls`, asked for over TLS with this certificate and bound to it (RFC 8705). */
  tokenFor(certificate: Credentials, format: TokenFormat): Promise<string>
  /** Ends a token at the server (RFC 7009). */
  revoke(token: string): Promise<void>
  /** Signs with a new key from now on. */
  rotate(): Promise<void>
  /** Answers every request so; undefined: as it should. */
  break(answer: ((response: ServerResponse) => void) | undefined): void
  /** Requests to the introspection endpoint so far. */
  readonly introspections: number
  close(): Promise<void>
}

type TokenFormat = 'jwt' | 'opaque'
type Handle = (request: IncomingMessage, response: ServerResponse) => void

async function makeJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }
}

/** Starts oidc-provider with JWT and opaque tokens, introspection (also signed), DPoP, mutual TLS, and three clients. */
export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  let handle: Handle = () => undefined
  let broken: ((response: ServerResponse) => void) | undefined
  let introspections = 0
  const server = createServer((request, response) => {
    if (request.url === '/token/introspection') introspections += 1
    if (broken === undefined) handle(request, response)
    else broken(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [agentKey, resourceKey] = await Promise.all([makeJwk('agent'), makeJwk('resource')])
  const rows = new Map<string, object>()
  let keys = [await makeJwk('k1')]
  const open = () => {
    handle = new Provider(issuer, configuration(keys, [agentKey, resourceKey], rows)).callback()
  }
  open()
  const mutual = await startMutualTls((request, response) => handle(request, response))

  async function formOf(client: string, form: Record<string, string>): Promise<URLSearchParams> {
    const assertion = await new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'agent' })
      .setIssuer(client)
      .setSubject(client)
      .setAudience(issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(agentKey)
    return new URLSearchParams({
      ...form,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
  }

  async function post(path: string, form: Record<string, string>, headers = {}): Promise<Response> {
    return await fetch(`${issuer}${path}`, { method: 'POST', body: await formOf('agent-1', form), headers })
  }

  return {
    issuer,
    resourceKey,
    async token(format, headers = {}) {
      return tokenOf(await (await post('/token', grantOf(format), headers)).text())
    },
    async tokenFor(certificate, format) {
      const form = await formOf('agent-tls', grantOf(format))
      return tokenOf(await mutual.post(certificate, form))
    },
    async revoke(token) {
      await post('/token/revocation', { token })
    },
    async rotate() {
      keys = [await makeJwk(`k${keys.length + 1}`), ...keys]
      open()
    },
    break(answer) {
      broken = answer
    },
    get introspections() {
      return introspections
    },
    async close() {
      server.closeAllConnections()
      await Promise.all([new Promise((resolve) => server.close(resolve)), mutual.close()])
    },
  }
}

function grantOf(format: TokenFormat): Record<string, string> {
  return { grant_type: 'client_credentials', resource: `${RESOURCE}?${format}`, scope: 'tools.call' }
}

function tokenOf(answer: string): string {
  const { access_token: token } = JSON.parse(answer) as { access_token?: string }
  if (token === undefined) throw new Error(answer)
  return token
}

/** The same server over TLS, where clients show certificates of their own making. */
async function startMutualTls(handle: Handle) {
  const own = await newAuthority('authorization server')
  const options = { key: own.key, cert: own.certificate, requestCert: true, rejectUnauthorized: false }
  const server = createTlsServer(options, handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    post(client: Credentials, form: URLSearchParams): Promise<string> {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const tls = { cert: client.certificate, key: client.key, rejectUnauthorized: false, agent: false }
      const to = { host: '127.0.0.1', port, path: '/token', method: 'POST', headers, ...tls }
      return new Promise((resolve, reject) => {
        const outgoing = requestTls(to, (incoming) => {
          incoming.setEncoding('utf8').on('error', reject)
          void incoming.toArray().then((chunks) => resolve(chunks.join('')), reject)
        })
        outgoing.on('error', reject).end(form.toString())
      })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function configuration(keys: readonly JWK[], clientKeys: readonly JWK[], rows: Map<string, object>): object {
  const [agentKey, resourceKey] = clientKeys.map(({ d: _, ...key }) => key)
  const client = (id: string, key: object | undefined, more: object) => ({
    client_id: id,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    introspection_signed_response_alg: 'ES256',
    jwks: { keys: [key] },
    redirect_uris: [],
    response_types: [],
    ...more,
  })
  return {
    adapter: memoryAdapter(rows),
    jwks: { keys },
    clients: [
      client('agent-1', agentKey, { grant_types: ['client_credentials'] }),
      client('agent-tls', agentKey, {
        grant_types: ['client_credentials'],
        tls_client_certificate_bound_access_tokens: true,
      }),
      client('resource', resourceKey, {
        grant_types: ['client_credentials'],
      }),
    ],
    enabledJWA: { introspectionSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1) },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: ({ req }: { readonly req: { readonly socket: TLSSocket } }) =>
          req.socket.encrypted === true ? req.socket.getPeerX509Certificate() : undefined,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_: unknown, resource: string) => ({
          scope: 'tools.call',
          audience: RESOURCE,
          accessTokenTTL: 600,
          accessTokenFormat: resource.endsWith('?jwt') ? 'jwt' : 'opaque',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  }
}

/** Rows outlive a rotation of keys, as they would in a database. */
function memoryAdapter(rows: Map<string, object>) {
  return class {
    readonly #kind: string
    constructor(kind: string) {
      this.#kind = kind
    }
    async upsert(id: string, row: object) {
      rows.set(`${this.#kind}:${id}`, row)
    }
    async find(id: string) {
      return rows.get(`${this.#kind}:${id}`)
    }
    async destroy(id: string) {
      rows.delete(`${this.#kind}:${id}`)
    }
    async consume() {}
    async revokeByGrantId() {}
  }
}
