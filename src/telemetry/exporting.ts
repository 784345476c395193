import type { Backlog } from './backlog.ts'
import type { SignalSettings } from './settings.ts'

/** Told why an export failed. */
export type OnExportFault = (signal: 'traces' | 'logs', fault: unknown) => void

/** What the exporters of the SDK have in common. */
interface Exporter<Item> {
  export(items: Item[], done: (result: { code: number; error?: Error }) => void): void
  shutdown(): Promise<void>
}

/** The SDK's code of an export that worked. */
const TAKEN = 0

/** `exporter`, with its outcomes counted and its faults told. It can't reject into the processor that calls it. */
export function counted<Item>(exporter: Exporter<Item>, backlog: Backlog, onFault: (fault: unknown) => void) {
  return {
    export: (items: Item[], done: (result: { code: number; error?: Error }) => void): void => {
      exporter.export(items, (result) => {
        backlog.settle(items.length, result.code === TAKEN)
        if (result.code !== TAKEN) onFault(result.error)
        // A processor that hears of a failure reports it to a global handler; it was told here.
        done({ code: TAKEN })
      })
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  }
}

/** Options of an OTLP exporter over HTTP with JSON. It reads compression and certificates from the environment itself. */
export function exporterOptions({ url, headers, timeoutMilliseconds }: SignalSettings) {
  return {
    url,
    headers: { ...headers },
    timeoutMillis: timeoutMilliseconds,
    concurrencyLimit: 4,
  }
}
