import type { VerifiedIdentity, VerifiedToken } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { Dependency, RevocationKind } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import { certificateId } from './certificate-id.ts'
import { lineageOf } from './lineage.ts'

/**
 * Everything that a call hangs on: whatever of it is revoked, the call is denied. Token, session and its issuer's key, user
 * and subject, every actor of the chain with its blueprint and with those that spawned it, every step of the delegation,
 * grants, keys and certificates that were proven, client, task, tool, issuer, tenant. No two are equal.
 *
 * Facts that only the request names (session, task) are among them: who leaves them out loses nothing, who names them can
 * be stopped by them.
 *
 * INVARIANT: prior actors only deny (RFC 8693 section 4.1); a name in this list can never help a call.
 */
export function dependenciesOf(
  identity: VerifiedIdentity,
  request: AuthorizationRequest,
  tenant: TenantState,
): readonly Dependency[] {
  const found = new Found()
  addToken(found, identity.token)
  addProof(found, identity)
  addWorkloadToken(found, identity)
  addTransaction(found, identity, tenant)
  addParties(found, identity, tenant)
  addGrants(found, identity, request, tenant)
  if (request.session !== undefined) found.add('session', `|${request.session.id}`)
  const task = request.declared['task']
  if (typeof task === 'string') found.add('task', task)
  for (const dependency of placesOf(request, tenant)) found.add(dependency.kind, dependency.id)
  return found.all()
}

/** What a call hangs on whoever makes it: its tool, the tenant, everything. Known before anything is verified. */
export function placesOf(request: AuthorizationRequest, tenant: TenantState): readonly Dependency[] {
  const { tool, action, route } = request
  const routed = route && tenant.registry.matchRoute(route.method, route.path)?.tool
  const places = new Found()
  places.add('everything', '*')
  places.add('tenant', tenant.id)
  for (const id of [tool, action?.name, routed, route && `${route.method} ${route.path}`]) {
    if (id === undefined) continue
    places.add('tool', id)
    // An MCP server, with all its tools.
    const slash = id.indexOf('/')
    if (slash > 0) places.add('tool', `${id.slice(0, slash)}/*`)
  }
  return places.all()
}

/** Dependencies in the order of their first mention. */
class Found {
  readonly #byKey = new Map<string, Dependency>()

  add(kind: RevocationKind, id: string): void {
    const key = `${kind} ${id}`
    if (!this.#byKey.has(key)) this.#byKey.set(key, { kind, id })
  }

  all(): readonly Dependency[] {
    return [...this.#byKey.values()]
  }
}

function addToken(found: Found, token: VerifiedToken | undefined): void {
  if (token === undefined) return
  const { issuer, id, subject, session, keyId, boundTo, client, fingerprint } = token
  if (id !== undefined) found.add('token', `${issuer}|${id}`)
  // A token without an id can still be named, by what was signed.
  if (fingerprint !== undefined) found.add('token', `${issuer}|sha256:${fingerprint}`)
  found.add('subject', `${issuer}|${subject}`)
  if (session !== undefined) found.add('session', `${issuer}|${session}`)
  if (keyId !== undefined) found.add('key', `${issuer}|${keyId}`)
  if (boundTo?.jkt !== undefined) found.add('key', boundTo.jkt)
  if (boundTo?.x5t !== undefined) addCertificate(found, boundTo.x5t)
  if (client !== undefined) found.add('client', client)
  found.add('issuer', issuer)
}

function addProof(found: Found, { presenter }: VerifiedIdentity): void {
  if (presenter === undefined) return
  const { thumbprint, certificate, workload } = presenter
  if (thumbprint !== undefined) addCertificate(found, thumbprint)
  if (certificate !== undefined) {
    const { issuer, serial } = certificate
    // As Node.js writes it, and in the one spelling of what is revoked.
    found.add('certificate', `${issuer}|${serial}`)
    const id = certificateId(issuer, serial)
    if (id !== undefined) found.add('certificate', id)
  }
  for (const id of [certificate?.spiffeId, workload]) {
    if (id === undefined) continue
    found.add('client', id)
    // The trust domain that vouches for it, as the issuer that it is registered as.
    const [domain] = /^spiffe:\/\/[^/]+/.exec(id) ?? []
    if (domain !== undefined) found.add('issuer', domain)
  }
}

function addWorkloadToken(found: Found, { workloadToken }: VerifiedIdentity): void {
  if (workloadToken === undefined) return
  const { issuer, id, keyId } = workloadToken
  found.add('issuer', issuer)
  if (id !== undefined) found.add('token', `${issuer}|${id}`)
  if (keyId !== undefined) found.add('key', `${issuer}|${keyId}`)
}

function addTransaction(found: Found, { transaction }: VerifiedIdentity, tenant: TenantState): void {
  if (transaction === undefined) return
  const { issuer, keyId, chain } = transaction
  found.add('issuer', issuer)
  // All tokens of one transaction have this one id.
  found.add('token', `${issuer}|${transaction.id}`)
  if (keyId !== undefined) found.add('key', `${issuer}|${keyId}`)
  for (const { id } of chain) addAgent(found, id, tenant)
}

function addCertificate(found: Found, thumbprint: string): void {
  found.add('key', thumbprint)
  found.add('certificate', thumbprint)
}

function addParties(found: Found, identity: VerifiedIdentity, tenant: TenantState): void {
  const { agent, user, subject, delegation, token } = identity
  if (user !== undefined) {
    found.add('subject', `|${user.id}`)
    if (token !== undefined) found.add('subject', `${token.issuer}|${user.id}`)
  }
  // Its type may mean anything in the tenant's own vocabulary: it is stopped as a subject and as an agent.
  if (subject !== undefined) {
    found.add('subject', `|${subject.uid.id}`)
    found.add('subject', `|${subject.uid.type}::${subject.uid.id}`)
    addAgent(found, subject.uid.id, tenant)
  }
  if (agent !== undefined) addAgent(found, agent.id, tenant)
  // Software that obtained the token stands for an agent, as its client id does where the token names no other.
  if (token?.client !== undefined) addAgent(found, token.client, tenant)
  for (const { issuer, id } of delegation.chain) {
    addAgent(found, id, tenant)
    if (issuer === undefined) continue
    found.add('subject', `${issuer}|${id}`)
    found.add('issuer', issuer)
  }
  addEdges(found, identity)
}

/** An agent is also the client that it authenticates as. */
function addAgent(found: Found, id: string, tenant: TenantState): void {
  const { parents, blueprints } = lineageOf(id, tenant.registry)
  for (const each of [id, ...parents]) {
    found.add('agent', each)
    found.add('client', each)
  }
  for (const parent of parents) found.add('edge', `${parent}>${id}`)
  for (const blueprint of blueprints) found.add('blueprint', blueprint)
}

/** Authority flows from the user through the innermost actor to the outermost. */
function addEdges(found: Found, { agent, user, delegation }: VerifiedIdentity): void {
  const path = delegation.chain.map(({ id }) => id).toReversed()
  if (user !== undefined) path.unshift(user.id)
  if (agent !== undefined && path.at(-1) !== agent.id) path.push(agent.id)
  for (const [i, to] of path.entries()) {
    const from = path[i - 1]
    if (from !== undefined) found.add('edge', `${from}>${to}`)
  }
}

/** A grant, and whoever gave it: what a revoked party granted is worth nothing. */
function addGrants(
  found: Found,
  { agent, delegation }: VerifiedIdentity,
  { now }: AuthorizationRequest,
  tenant: TenantState,
): void {
  const used = new Set(delegation.grants)
  for (const id of used) found.add('grant', id)
  if (used.size === 0 || tenant.delegations === undefined) return
  const actors = [...(agent === undefined ? [] : [agent.id]), ...delegation.chain.map(({ id }) => id)]
  for (const actor of new Set(actors)) {
    for (const { id, from } of tenant.delegations.grantsTo(actor, now)) {
      if (!used.has(id) || from.id === '*') continue
      found.add('edge', `${from.id}>${actor}`)
      if (from.kind === 'agent') addAgent(found, from.id, tenant)
      else found.add('subject', `|${from.id}`)
    }
  }
}
