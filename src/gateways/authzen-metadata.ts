import type { JsonObject } from '#model/value.ts'
import { AUTHZEN_OBLIGATION_NAMES } from './authzen-obligations.ts'

/** The metadata document of this PDP and the path at which it must be served. */
export interface AuthzenMetadata {
  readonly path: string
  readonly document: JsonObject
}

/**
 * AuthZEN PDP metadata (section 9). The well-known segment stands between host and path of the PDP's URL.
 *
 * @param publicUrl configured, never taken from a request: a `Host` header could point gateways elsewhere
 */
export function authzenMetadata(publicUrl: string): AuthzenMetadata {
  const url = new URL(publicUrl)
  const path = url.pathname.replace(/\/+$/, '')
  const base = `${url.origin}${path}`
  return {
    path: `/.well-known/authzen-configuration${path}`,
    document: {
      policy_decision_point: base,
      access_evaluation_endpoint: `${base}/access/v1/evaluation`,
      access_evaluations_endpoint: `${base}/access/v1/evaluations`,
      search_subject_endpoint: `${base}/access/v1/search/subject`,
      search_resource_endpoint: `${base}/access/v1/search/resource`,
      search_action_endpoint: `${base}/access/v1/search/action`,
      supported_obligations: Object.values(AUTHZEN_OBLIGATION_NAMES).toSorted(),
    },
  }
}
