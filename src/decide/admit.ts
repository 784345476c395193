import { type Admit, admissionFor, guardDocument } from '#delegation/admission.ts'
import { guardAfter } from '#guards/after.ts'
import { guardRevoked } from '#guards/revoked.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ClientDocuments } from '#model/client-document.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Caller } from './call.ts'

/** What registering agents just in time takes. */
export interface AdmitSteps {
  /** Undefined: no agent is registered just in time. */
  readonly admit?: Admit
  /** Undefined: no agent is registered by its metadata document. */
  readonly documents?: ClientDocuments
}

/**
 * Registers an unknown agent just in time, where a blueprint lets it; else the stop that it is denied with.
 *
 * INVARIANT: nobody is registered for a call that is denied whoever its agent is; a suspended parent would fill the places of its
 * blueprint.
 */
export async function admit(
  steps: AdmitSteps,
  stop: Stop,
  { identity, tenant, findAgent }: Pick<Caller, 'identity' | 'tenant' | 'findAgent'>,
  now: EpochMilliseconds,
): Promise<'admitted' | Stop> {
  if (stop.code !== 'agent.unknown' || steps.admit === undefined) return stop
  const admission = admissionFor(identity, tenant, findAgent)
  if (admission === undefined) return stop
  const chain = identity.delegation.chain.filter(({ id }) => id !== admission.agent)
  const others = { ...identity, agent: undefined, delegation: { ...identity.delegation, chain } }
  const held =
    guardAfter(others, tenant, findAgent, now) ??
    guardRevoked([{ kind: 'blueprint', id: admission.blueprint }], tenant.revocations, now, undefined)
  if (held !== undefined) return held
  const doubt = guardDocument(admission, tenant, steps.documents, now)
  if (doubt !== undefined) return doubt
  const outcome = await steps.admit(tenant.id, admission, now)
  if (outcome === 'admitted') return outcome
  const detail = `blueprint \`${admission.blueprint}\`: ${outcome}`
  return { code: 'agent.limit', message: REASONS['agent.limit'], detail }
}
