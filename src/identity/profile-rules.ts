import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { facets, isEntraApplication, PROFILES, profileOf } from './profiles.ts'
import { spiffeDomainOf } from './spiffe-id.ts'
import { stop } from './stop.ts'

/** Members that mark a JWT as something other than an access token, whatever its `typ` says (RFC 8725 section 3.12). */
const FOREIGN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events', 'txn', 'token_introspection']
/** Types of tokens that are something else, whatever an issuer file lists: with them one kind would pass for another. */
const FOREIGN_TYPES: ReadonlySet<string> = new Set([
  'logout+jwt',
  'secevent+jwt',
  'token-introspection+jwt',
  'statuslist+jwt',
  'dpop+jwt',
  'wit+jwt',
  'wpt+jwt',
  'txntoken+jwt',
  'oauth-id-jag+jwt',
  'actor-proof+jwt',
  'actor-receipt+jwt',
  'aa-agent+jwt',
  'aa-auth+jwt',
])
/** `typ` claim of a Keycloak access token; ID, refresh and logout tokens are signed with the same keys. */
const KEYCLOAK_TYPES: readonly unknown[] = ['Bearer', 'DPoP']
/** Profiles whose access tokens always name their client, by one claim or another; their ID tokens name none. */
const CLIENT_DEMANDED = ['auth0', 'loginradius', 'entra'] as const

/** The first rule about the kind of token that `payload` breaks; `typ` is that of the header. */
export function objectionToKind(payload: JsonObject, issuer: Issuer, typ: string): Stop | undefined {
  // INVARIANT: whatever such an issuer signs or answers, it is never an access token.
  if (!makesAccessTokens(issuer)) return stop('token.type', 'the issuer makes no access tokens')
  if (FOREIGN_TYPES.has(typ)) return stop('token.type', 'the `typ` is that of another kind of token')
  const foreign = FOREIGN_CLAIMS.find((name) => Object.hasOwn(payload, name))
  if (foreign !== undefined) return stop('token.type', `\`${foreign}\` marks another kind of token`)
  if (typ !== 'at+jwt' && isForClient(payload, issuer))
    return stop('token.type', 'the audience is the client: an ID token')
  return objectionOfProfile(payload, issuer)
}

/** Whether tokens of this issuer can be access tokens at all. */
export function makesAccessTokens({ profile }: Pick<Issuer, 'profile'>): boolean {
  return profile !== 'txn-token' && profile !== 'http-signature'
}

function objectionOfProfile(payload: JsonObject, issuer: Issuer): Stop | undefined {
  if (issuer.profile === 'keycloak') return objectionToKeycloak(payload)
  if (issuer.profile === 'spiffe') return objectionToSvid(payload, issuer)
  // INVARIANT: where the type and other claims are the same, the client alone tells an access token from an ID token.
  const demanded = CLIENT_DEMANDED.find((profile) => profile === issuer.profile)
  if (demanded !== undefined && clientOf(payload, issuer) === undefined)
    return stop('token.claim_missing', `\`${PROFILES[demanded].clientClaims.join('` or `')}\``)
  return demanded === 'entra' ? objectionToEntra(payload, issuer) : undefined
}

/** An ID token is for its client (OpenID Connect Core section 2), an access token for somebody else. */
function isForClient(payload: JsonObject, issuer: Issuer): boolean {
  const client = clientOf(payload, issuer)
  const { aud } = payload
  return client !== undefined && (Array.isArray(aud) ? aud.includes(client) : aud === client)
}

function clientOf(payload: JsonObject, issuer: Issuer): unknown {
  return profileOf(issuer)
    .clientClaims.map((name) => payload[name])
    .find((value) => value !== undefined)
}

function objectionToKeycloak({ typ }: JsonObject): Stop | undefined {
  return KEYCLOAK_TYPES.includes(typ) ? undefined : stop('token.type', 'the claim `typ` is not `Bearer`')
}

/** One issuer URL is one Entra tenant: the token must say the same one. */
function objectionToEntra({ tid, ...payload }: JsonObject, issuer: Issuer): Stop | undefined {
  const segments = URL.parse(issuer.issuer)?.pathname.split('/') ?? []
  if (typeof tid !== 'string' || !segments.includes(tid)) return stop('token.tenant', '`tid`')
  const { xms_act_fct: actor, xms_sub_fct: subject, idtyp } = payload
  if ([actor, subject].some((claim) => claim !== undefined && !areFacets(claim)))
    return stop('token.claim_invalid', '`xms_act_fct` or `xms_sub_fct`')
  // An actor that has facets without that of an agent is known not to be one.
  if (actor !== undefined && !facets(actor).includes('11'))
    return stop('token.claim_invalid', '`xms_act_fct` is not that of an agent')
  // INVARIANT: whether a user stands behind the call is believed only where all that the token says about it agrees.
  const isApplication = isEntraApplication(payload)
  const isAgent = facets(subject).includes('11')
  if (isAgent && (facets(subject).includes('13') || !isApplication))
    return stop('token.claim_invalid', '`xms_sub_fct` is that of an agent, other claims say a user')
  return idtyp === undefined || idtyp === (isApplication ? 'app' : 'user')
    ? undefined
    : stop('token.claim_invalid', '`idtyp` contradicts `scp`')
}

/** INVARIANT: facets that can't be read could say that nobody stands behind the call, so they are not left out. */
function areFacets(claim: Json): boolean {
  return typeof claim === 'string' && /^(?:[1-9]\d*(?: [1-9]\d*)*)?$/.test(claim)
}

function objectionToSvid({ sub }: JsonObject, issuer: Issuer): Stop | undefined {
  const domain = typeof sub === 'string' ? spiffeDomainOf(sub) : undefined
  if (domain === undefined) return stop('token.claim_invalid', '`sub` is not a SPIFFE ID')
  return `spiffe://${domain}` === issuer.issuer
    ? undefined
    : stop('token.issuer_unknown', '`sub` is of another trust domain')
}
