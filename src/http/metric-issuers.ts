import { OTHER_TENANTS, type TenantLabels } from './metric-labels.ts'
import type { Reading, Sample } from './metric-reading.ts'

/** How the keys of an issuer that a tenant has registered are doing. */
export interface IssuerKeys {
  readonly tenant: string
  readonly issuer: string
  readonly standing: 'fresh' | 'stale' | 'none'
  readonly keys: number
  /** Undefined: never fetched. */
  readonly ageSeconds: number | undefined
  readonly failures: number
  readonly servedStale: number
}

interface IssuerKeySource {
  issuerKeys(): Iterable<IssuerKeys>
}

const ISSUER_LABELS = ['tenant', 'issuer']
const ISSUERS_MAX = 100

/** How the keys of issuers are doing. */
export const KEY_READINGS: readonly Reading<IssuerKeySource>[] = [
  {
    kind: 'gauge',
    name: 'issuer_key_sets',
    help: 'Issuers whose keys were needed, by how their keys are: `fresh`, `stale` (overdue and still served), `none` (nothing to verify with).',
    labels: ['standing'],
    read: ({ issuerKeys }) => {
      const count = { fresh: 0, stale: 0, none: 0 }
      for (const { standing } of issuerKeys()) count[standing] += 1
      return Object.entries(count).map(([standing, value]): Sample => [{ standing }, value])
    },
  },
  {
    kind: 'gauge',
    name: 'issuer_keys',
    help: 'Usable keys of an issuer; the first 100 issuers.',
    labels: ISSUER_LABELS,
    read: (sources, labels) => eachIssuer(sources, labels, ({ keys }) => keys),
  },
  {
    kind: 'gauge',
    name: 'issuer_keys_age_seconds',
    help: 'Seconds since the keys of an issuer were last fetched; they are fetched when somebody needs them. The first 100 issuers.',
    labels: ISSUER_LABELS,
    read: (sources, labels) => eachIssuer(sources, labels, ({ ageSeconds }) => ageSeconds),
  },
  {
    kind: 'counter',
    name: 'issuer_keys_refresh_failures_total',
    help: 'Fetches of the keys of an issuer that failed or brought nothing usable; the first 100 issuers.',
    labels: ISSUER_LABELS,
    read: (sources, labels) => eachIssuer(sources, labels, ({ failures }) => failures),
  },
  {
    kind: 'counter',
    name: 'issuer_keys_stale_served_total',
    help: 'Tokens that were verified with overdue keys because newer ones could not be fetched yet; the first 100 issuers.',
    labels: ISSUER_LABELS,
    read: (sources, labels) => eachIssuer(sources, labels, ({ servedStale }) => servedStale),
  },
]

/** One sample for each issuer of the tenants that have series of their own, where there is something to say. */
function eachIssuer(
  { issuerKeys }: IssuerKeySource,
  labels: TenantLabels,
  numberOf: (keys: IssuerKeys) => number | undefined,
): Sample[] {
  const shown = [...issuerKeys()].filter(({ tenant }) => labels.labelOf(tenant) !== OTHER_TENANTS)
  return shown.slice(0, ISSUERS_MAX).flatMap((keys): Sample[] => {
    const value = numberOf(keys)
    return value === undefined ? [] : [[{ tenant: keys.tenant, issuer: keys.issuer }, value]]
  })
}
