import { asserted } from '#identity/asserted.ts'
import type { KeySets } from '#identity/key-sets.ts'
import type { NamedParties } from '#identity/named.ts'
import type { ReadCertificate } from '#identity/proof/certificate.ts'
import type { Once } from '#identity/proof/possession.ts'
import type { PublicKeys } from '#identity/proof/public-keys.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { stop } from '#identity/stop.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Presenter, Stop, VerifiedIdentity, WorkloadToken } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { verifyWimse } from './wimse.ts'
import { workloadOfSvid } from './x509-svid.ts'

/** The workload that sends a call. */
export interface Workload {
  readonly id: string
  readonly presenter: Presenter
  readonly once: Once | undefined
  /** Undefined: only its certificate names it. */
  readonly token: WorkloadToken | undefined
}

/** What a workload is proven with. */
export interface WorkloadParts {
  readonly keys: KeySets
  readonly publicKeys: PublicKeys
  readonly readCertificate: ReadCertificate
}

/** Whose workload is asked for. */
export interface WorkloadAsked {
  readonly request: AuthorizationRequest
  readonly gateway: Gateway
  readonly tenant: TenantState
  readonly token: string | undefined
}

/**
 * The workload behind a call, by its X.509-SVID or by a Workload Identity Token with its proof; undefined when there is neither.
 * The source of the certificate was checked before.
 *
 * INVARIANT: both at once must name the same workload, and a credential that can't be verified here is refused, not ignored.
 */
export async function proveWorkload(
  { request, gateway, tenant, token }: WorkloadAsked,
  { keys, publicKeys, readCertificate }: WorkloadParts,
): Promise<Result<Workload | undefined, Stop>> {
  const { proofs, now } = request
  if (proofs === undefined) return success(undefined)
  const [passed] = proofs.certificates
  const certificate = passed && readCertificate(passed, now)
  if (certificate?.ok === false) return certificate
  const svid = certificate && (await workloadOfSvid(certificate.value, { tenant, keys, now }))
  if (svid?.ok === false) return svid
  const byCertificate =
    certificate === undefined || svid?.value === undefined
      ? undefined
      : {
          id: svid.value,
          presenter: presenterOf('mtls', certificate.value.thumbprint, svid.value),
          once: undefined,
          token: undefined,
        }
  if (proofs.workloadToken.length === 0 && proofs.workloadProof.length === 0) return success(byCertificate)
  const wimse = await verifyWimse({ request, proofs, gateway, tenant, token }, keys, publicKeys)
  if (!wimse.ok) return wimse
  const { id, thumbprint, once, token: workloadToken } = wimse.value
  if (byCertificate !== undefined && byCertificate.id !== id)
    return failed(stop('identity.mismatch', 'certificate and workload token name different workloads'))
  return success({ id, presenter: presenterOf('wpt', thumbprint, id), once, token: workloadToken })
}

function presenterOf(proof: 'mtls' | 'wpt', thumbprint: string, workload: string): Presenter {
  return { proof, thumbprint, workload }
}

/** `identity` of a token with the workload that sent it; an agent that is named by a SPIFFE ID must be that workload. */
export function withWorkload(
  identity: VerifiedIdentity,
  workload: Workload | undefined,
): Result<VerifiedIdentity, Stop> {
  if (workload === undefined) return success(identity)
  const agent = identity.agent?.id
  if (agent !== undefined && spiffeDomainOf(agent) !== undefined && agent !== workload.id)
    return failed(stop('identity.mismatch', 'the token names another workload'))
  const { presenter } = identity
  const merged =
    presenter === undefined || presenter.proof === 'none'
      ? { ...presenter, ...workload.presenter }
      : { ...presenter, workload: workload.id }
  return success({ ...identity, presenter: merged, ...tokenOf(workload) })
}

/** The identity of a workload that sends no access token: it is the agent. A user can only be the gateway's word. */
export function identityOfWorkload(
  workload: Workload,
  { agent, user, subject }: NamedParties,
  tenant: TenantState,
  canAssert: boolean,
): Result<VerifiedIdentity, Stop> {
  const { id, presenter } = workload
  if (agent !== undefined && agent.id !== id) return failed(stop('identity.mismatch', 'the agent differs'))
  if (user !== undefined && !canAssert) return failed(stop('identity.unasserted'))
  const isOwn = tenant.release?.vocabulary === 'own'
  if (isOwn && subject !== undefined && subject.id !== id && !canAssert)
    return failed(stop('identity.mismatch', 'the subject is not the workload'))
  const uid = subject && { type: subject.type, id: subject.id }
  const provenance = subject?.id === id ? 'verified' : 'gateway'
  return success({
    tenant: tenant.id,
    agent: { id, provenance: 'verified', properties: agent?.properties ?? {} },
    user: asserted(user),
    subject: isOwn && subject && uid ? { uid, provenance, properties: subject.properties } : undefined,
    delegation:
      user === undefined
        ? { source: 'none', chain: [] }
        : { source: 'gateway', chain: [{ issuer: undefined, id }] },
    token: undefined,
    presenter,
    ...tokenOf(workload),
  })
}

function tokenOf({ token }: Workload): Pick<VerifiedIdentity, 'workloadToken'> {
  return token === undefined ? {} : { workloadToken: token }
}
