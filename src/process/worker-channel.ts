import type { MetricSamples } from '#http/metrics.ts'
import type { Addresses } from '#wire/listeners.ts'

/** What the keeper tells a front. */
export type ToFront =
  /** Something may have changed in the database. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'measure'; readonly question: number }
  /** Read the TLS files again. */
  | { readonly kind: 'reload' }
  /** Finish what is under way and end. */
  | { readonly kind: 'drain' }

/** What a front tells the keeper. */
export type FromFront =
  | { readonly kind: 'serving'; readonly addresses: Addresses }
  | { readonly kind: 'measured'; readonly question: number; readonly samples: MetricSamples }

/** Whether a message between the two processes is one of ours; a runtime sends some of its own. */
export function isMessage(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
}
