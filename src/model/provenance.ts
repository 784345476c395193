/**
 * Where a fact comes from (docs/architecture.md). Every attribute carries one and it is logged.
 * `verified`: a signature that we checked. `registry`: our database. `signal`: security events, anomaly detection.
 * `gateway`: asserted by an authenticated gateway that is registered for that kind of fact.
 * `declared`: from the agent's own payload; may only ever restrict. `none`: nobody said anything, a default applies.
 */
export type Provenance = 'verified' | 'registry' | 'signal' | 'gateway' | 'declared' | 'none'
