/** Why an operation was not done. Codes are stable; nothing in it is secret. */
export interface AdminFailure {
  readonly code: AdminFailureCode
  /** What was wrong and where. */
  readonly message: string
  /** What to do. */
  readonly help?: string
  /** `input`: what was given is wrong. `refused`: it is well-formed, but the state says no. */
  readonly kind: 'input' | 'refused'
}

/** Stable codes of failed operations, `area.reason`. */
export type AdminFailureCode =
  | 'tenant.invalid'
  | 'tenant.exists'
  | 'tenant.unknown'
  | 'gateway.invalid'
  | 'gateway.exists'
  | 'gateway.unknown'
  | 'gateway.certificate_taken'
  | 'release.unknown'
  | 'release.invalid'
  | 'release.no_previous'
  | 'policy.invalid'
  | 'folder.unreadable'
  | 'folder.empty'
  | 'folder.not_empty'
  | 'file.unreadable'
  | 'file.encoding'
  | 'file.unwritable'
  | 'registry.invalid'
  | 'issuer.invalid'
  | 'issuer.unknown'
  | 'agent.invalid'
  | 'agent.exists'
  | 'agent.unknown'
  | 'agent.state'
  | 'agent.ownerless'
  | 'agent.limit'
  | 'agent.retired'
  | 'grant.invalid'
  | 'grant.unknown'
  | 'api_key.invalid'
  | 'api_key.exists'
  | 'api_key.unknown'
  | 'federation.invalid'
  | 'federation.unknown'
  | 'federation.state'
  | 'reason.missing'
  | 'token.invalid'
  | 'token.exists'
  | 'token.unknown'
  | 'revocation.invalid'
  | 'revocation.unknown'
  | 'revocation.same_person'
  | 'stream.invalid'
  | 'stream.exists'
  | 'stream.unknown'
  | 'stream.unmanaged'
  | 'stream.transmitter'
  | 'receiver.invalid'
  | 'receiver.exists'
  | 'receiver.unknown'
  | 'receiver.private'

/** What was given is wrong. */
export function invalid(code: AdminFailureCode, message: string, help?: string): AdminFailure {
  return { code, message, ...(help === undefined ? {} : { help }), kind: 'input' }
}

/** What was given is well-formed, but what it names is not there or already is. */
export function refused(code: AdminFailureCode, message: string, help?: string): AdminFailure {
  return { code, message, ...(help === undefined ? {} : { help }), kind: 'refused' }
}

/** The answer when a tenant is not registered. */
export function tenantUnknown(tenant: string): AdminFailure {
  return refused(
    'tenant.unknown',
    `there is no tenant \`${tenant}\``,
    `add it with \`warder tenant add ${tenant}\``,
  )
}
