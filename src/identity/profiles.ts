import type { ClaimMapping, ClaimType, Issuer, IssuerProfile } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'

/** What a profile presets for an issuer file, and how its tokens differ from RFC 9068. */
export interface Profile {
  readonly algorithms: readonly string[]
  /** Accepted `typ` values; the empty string is a header without one. */
  readonly types: readonly string[]
  readonly required: { readonly [claim: string]: ClaimType }
  readonly lifetimeSecondsMax: number
  readonly claims: Partial<ClaimMapping>
  /** Claims that name the client, the first that is there. */
  readonly clientClaims: readonly string[]
  /** Whether the token speaks for its client alone although `sub` is another id than the client's. */
  readonly isAutonomous?: (payload: JsonObject, client: string | undefined) => boolean
  /** Whether a token without `act` says itself that its client acts for its subject. Default: never. */
  readonly namesActor?: (payload: JsonObject) => boolean
  /** Whether the subject of the token is an account that only agents use: no person stands behind its calls. Default: never. */
  readonly isUserOfAgent?: (payload: JsonObject) => boolean
  /** JWK `use` of its signature keys. Default `sig`. */
  readonly keyUse?: string
  /** Whether an empty key set ends all its keys rather than being a mistake. Default false. */
  readonly emptySetRevokes?: boolean
  readonly issuedAtOptional?: boolean
}

const ALL = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']
const FAMILY_256 = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
const CLIENTS = ['client_id', 'azp']
/** Facets in Entra's `xms_act_fct` and `xms_sub_fct`: an agent identity, and the user account of one. */
const ENTRA_AGENT = '11'
const ENTRA_AGENT_USER = '13'

/**
 * The profiles. Sources: RFC 9068 section 2.2; SPIFFE JWT-SVID sections 2 to 5; Microsoft's reference of Agent ID token
 * claims; the token references of Keycloak, Okta and Auth0.
 */
export const PROFILES: Readonly<Record<IssuerProfile, Profile>> = {
  rfc9068: {
    algorithms: ALL,
    types: ['at+jwt'],
    required: { client_id: 'string', jti: 'string' },
    lifetimeSecondsMax: 3_600,
    claims: {},
    clientClaims: CLIENTS,
  },
  keycloak: {
    algorithms: ALL,
    types: ['jwt', 'at+jwt'],
    required: { azp: 'string', jti: 'string', typ: 'string' },
    lifetimeSecondsMax: 3_600,
    claims: {},
    clientClaims: ['azp'],
    // A service account is a user of its own with an id that is not the client's.
    isAutonomous: ({ preferred_username: name }, client) =>
      client !== undefined && name === `service-account-${client.toLowerCase()}`,
  },
  okta: {
    algorithms: ['RS256'],
    types: ['', 'jwt', 'at+jwt'],
    required: { cid: 'string', jti: 'string' },
    lifetimeSecondsMax: 86_400,
    claims: { scope: 'scp' },
    clientClaims: ['cid'],
  },
  auth0: {
    algorithms: ['RS256', 'PS256'],
    types: ['jwt', 'at+jwt'],
    required: {},
    lifetimeSecondsMax: 86_400,
    claims: {},
    clientClaims: CLIENTS,
    isAutonomous: ({ sub, gty }, client) => gty === 'client-credentials' || sub === `${client}@clients`,
  },
  loginradius: {
    algorithms: ALL,
    types: ['jwt', 'at+jwt'],
    required: {},
    lifetimeSecondsMax: 3_600,
    claims: {},
    clientClaims: CLIENTS,
  },
  entra: {
    algorithms: ['RS256'],
    types: ['jwt'],
    required: { tid: 'string', uti: 'string', oid: 'string' },
    lifetimeSecondsMax: 32_400,
    claims: { user: 'oid', scope: 'scp', id: 'uti' },
    clientClaims: ['azp', 'appid'],
    isAutonomous: isEntraApplication,
    namesActor: (payload) => facets(payload['xms_act_fct']).includes(ENTRA_AGENT),
    isUserOfAgent: (payload) => facets(payload['xms_sub_fct']).includes(ENTRA_AGENT_USER),
  },
  spiffe: {
    algorithms: FAMILY_256,
    types: ['', 'jwt', 'jose'],
    required: {},
    lifetimeSecondsMax: 3_600,
    claims: { agent: 'sub' },
    clientClaims: [],
    isAutonomous: () => true,
    keyUse: 'jwt-svid',
    emptySetRevokes: true,
    issuedAtOptional: true,
  },
  legacy: {
    algorithms: ALL,
    types: ['', 'jwt', 'at+jwt'],
    required: {},
    lifetimeSecondsMax: 3_600,
    claims: {},
    clientClaims: CLIENTS,
  },
  // Keys of agents that sign requests; its audience is the tags that they sign for. It makes no tokens.
  'http-signature': {
    algorithms: ['ES256', 'ES384', 'PS512', 'EdDSA', 'Ed25519'],
    types: [],
    required: {},
    lifetimeSecondsMax: 300,
    claims: {},
    clientClaims: [],
  },
  // Its audience is the trust domain; src/identity/workload/transaction.ts says what its tokens must be.
  'txn-token': {
    algorithms: FAMILY_256,
    types: ['txntoken+jwt'],
    required: {},
    lifetimeSecondsMax: 300,
    claims: {},
    clientClaims: [],
  },
}

/** The profile of `issuer`. */
export function profileOf({ profile }: Issuer): Profile {
  return PROFILES[profile ?? 'rfc9068']
}

/** Only a token for a user has `scp` with something in it: that of an application has none, or `/`. */
export function isEntraApplication({ scp }: JsonObject): boolean {
  return scp === undefined || (typeof scp === 'string' && ['', '/'].includes(scp.trim()))
}

/** Values of a claim that lists facets with spaces between them; in no order, unknown ones among them. */
export function facets(claim: unknown): readonly string[] {
  return typeof claim === 'string' ? claim.split(' ') : []
}
