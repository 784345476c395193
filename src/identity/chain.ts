import { failed, type Result, success } from '#lib/result.ts'
import type { Actor, Stop } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'
import { mayNameActorsOf } from '#model/tenant-rules.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isObject } from './claim-path.ts'
import { stop } from './stop.ts'

/** Deepest chain that any tenant can accept (`TenantRules.chainDepthMax`); a longer one is not read at all. */
const CHAIN_DEPTH_MAX = 8
const ID_LENGTH_MAX = 512
/** RFC 8693 section 4.1: an actor's claims identify it; anything that would carry authority has no meaning there. */
const FOREIGN_MEMBERS = ['exp', 'nbf', 'iat', 'aud', 'cnf', 'scope', 'authorization_details', 'may_act']

/**
 * Reads the nested actors of an `act` claim, outermost first (RFC 8693 section 4.1, with `iss` and `sub_profile` of
 * draft-mcguinness-oauth-actor-profile). Only its form is judged here; whether these actors may act is for the rules of
 * delegation.
 *
 * @param issuer of the token: the namespace of actors that name none
 */
export function readChain(
  act: Json | undefined,
  issuer: string,
  tenant: TenantState,
): Result<readonly Actor[], Stop> {
  const chain: Actor[] = []
  for (let at = act; at !== undefined; ) {
    if (chain.length === CHAIN_DEPTH_MAX) return invalid(`\`act\` names more than ${CHAIN_DEPTH_MAX} actors`)
    if (!isObject(at)) return invalid('`act` is not an object')
    const actor = readActor(at, issuer, tenant)
    if (!actor.ok) return actor
    chain.push(actor.value)
    at = at['act']
  }
  return success(chain)
}

/** Who may become an actor by an exchange of the token (RFC 8693 section 4.4); whoever can't be read is nobody. */
export function readMayAct(claim: Json | undefined, issuer: string): Actor | undefined {
  if (claim === undefined) return undefined
  const { sub, iss } = isObject(claim) ? claim : {}
  return isId(sub) && (iss === undefined || typeof iss === 'string')
    ? { issuer: iss ?? issuer, id: sub }
    : { issuer, id: '' }
}

function readActor(act: JsonObject, issuer: string, tenant: TenantState): Result<Actor, Stop> {
  const { sub, iss, sub_profile: profile } = act
  if (!isId(sub)) return invalid('`act.sub` is not a non-empty string')
  if (iss !== undefined && typeof iss !== 'string') return invalid('`act.iss`')
  if (profile !== undefined && typeof profile !== 'string') return invalid('`act.sub_profile`')
  const foreign = FOREIGN_MEMBERS.find((name) => Object.hasOwn(act, name))
  if (foreign !== undefined) return invalid(`\`act.${foreign}\` has no meaning`)
  // An actor's `iss` is the namespace of its id; from an unknown one, `sub` could be anybody's.
  if (iss !== undefined && !isKnown(iss, issuer, tenant))
    return failed(stop('token.issuer_unknown', '`act.iss`'))
  return success({ issuer: iss ?? issuer, id: sub, ...(profile !== undefined && { profile }) })
}

function isKnown(named: string, by: string, { issuers, rules }: TenantState): boolean {
  return mayNameActorsOf(named, by, rules) || issuers.some(({ issuer }) => issuer === named)
}

function isId(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_MAX
}

function invalid(detail: string): Result<never, Stop> {
  return failed(stop('token.claim_invalid', detail))
}
