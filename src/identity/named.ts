import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { ActorClaim, AuthorizationRequest, EntityClaim, PartyClaim } from '#model/request.ts'
import { stop } from './stop.ts'

/** Everyone that a request names, from its fields and its identity headers; claims, nothing more. */
export interface NamedParties {
  readonly agent: PartyClaim | undefined
  readonly user: PartyClaim | undefined
  readonly subject: EntityClaim | undefined
  readonly tenant: string | undefined
  /** All actors, outermost first, where the request names more than whoever acts now. */
  readonly chain?: readonly ActorClaim[]
}

/** Headers that carry a party, by the party they carry. */
const PARTY_HEADERS: ReadonlyMap<string, 'agent' | 'user' | 'tenant' | 'subject'> = new Map([
  ['x-warder-agent', 'agent'],
  ['x-warder-user', 'user'],
  ['x-warder-tenant', 'tenant'],
  ['x-warder-subject', 'subject'],
])

/**
 * Merges a request's fields with its identity headers. Two sources that name different parties, and a header that is
 * sent twice with different values, are `identity.mismatch`.
 */
export function readNamedParties(request: AuthorizationRequest): Result<NamedParties, Stop> {
  const inHeaders: { agent?: string; user?: string; tenant?: string; subject?: string } = {}
  for (const [name, value] of request.identityHeaders) {
    const party = PARTY_HEADERS.get(name)
    if (party === undefined) continue
    if ((inHeaders[party] ?? value) !== value) return failed(stop('identity.mismatch', name))
    inHeaders[party] = value
  }
  const { agent, user, tenant, subject, chain } = request
  for (const [field, header] of [
    [agent?.id, inHeaders.agent],
    [user?.id, inHeaders.user],
    [tenant, inHeaders.tenant],
  ])
    if (field !== undefined && header !== undefined && field !== header)
      return failed(stop('identity.mismatch'))
  return success({
    agent: agent ?? claim(inHeaders.agent),
    user: user ?? claim(inHeaders.user),
    subject: subject ?? subjectClaim(inHeaders.subject),
    tenant: tenant ?? inHeaders.tenant,
    ...(chain !== undefined && { chain }),
  })
}

function claim(id: string | undefined): PartyClaim | undefined {
  return id === undefined || id === '' ? undefined : { id, properties: {} }
}

/** `type::id`, split at the last `::`. Without a type it names nobody. */
function subjectClaim(text: string | undefined): EntityClaim | undefined {
  const at = text?.lastIndexOf('::') ?? -1
  return text === undefined || at < 1
    ? undefined
    : { type: text.slice(0, at), id: text.slice(at + 2), properties: {} }
}
