import type { TenantLabels } from './metric-labels.ts'

/** One value of a metric, with its labels. */
export type Sample = readonly [labels: { readonly [name: string]: string }, value: number]

/** A metric that is read from `Sources` when somebody asks; its name comes after `warder_`. */
export interface Reading<Sources> {
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  readonly read: (sources: Sources, tenants: TenantLabels) => number | Iterable<Sample>
}
