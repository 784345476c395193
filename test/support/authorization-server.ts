import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import Provider from 'oidc-provider'

export const RESOURCE = 'https://tools.example/mcp'

/** A real authorization server on loopback. */
export interface AuthorizationServer {
  readonly issuer: string
  /** Private key of the resource server, with which it introspects. */
  readonly resourceKey: JWK
  /** A token of the client `agent-1`, by client credentials. */
  token(format: 'jwt' | 'opaque', headers?: { readonly [name: string]: string }): Promise<string>
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

async function makeJwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }
}

/** Starts oidc-provider with JWT and opaque tokens, introspection (also signed), DPoP, and two clients. */
export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
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

  async function post(path: string, form: Record<string, string>, headers = {}): Promise<Response> {
    const assertion = await new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'agent' })
      .setIssuer('agent-1')
      .setSubject('agent-1')
      .setAudience(issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(agentKey)
    const body = new URLSearchParams({
      ...form,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
    return await fetch(`${issuer}${path}`, { method: 'POST', body, headers })
  }

  return {
    issuer,
    resourceKey,
    async token(format, headers = {}) {
      const form = {
        grant_type: 'client_credentials',
        resource: `${RESOURCE}?${format}`,
        scope: 'tools.call',
      }
      const answer = (await (await post('/token', form, headers)).json()) as { access_token?: string }
      if (answer.access_token === undefined) throw new Error(JSON.stringify(answer))
      return answer.access_token
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
