import type { Reading, Sample } from './metric-reading.ts'

/** How the streams of security events stand. */
export interface SignalStreams {
  /** How many of this installation stand how; empty until they were counted. */
  signalStreams(): Iterable<readonly [standing: string, streams: number]>
}

/** How the streams of others' security events are doing. */
export const STREAM_READINGS: readonly Reading<SignalStreams>[] = [
  {
    kind: 'gauge',
    name: 'signal_streams',
    help: "Streams of others' security events by how they stand: stopped by their transmitter (`disabled`, `paused`), without the verification event that was asked for (`unverified`) or still waiting for it (`waiting`), not to be fetched or asked about (`failing`), `healthy`. Of the whole installation: every server says the same.",
    labels: ['standing'],
    read: ({ signalStreams }) =>
      [...signalStreams()].map(([standing, value]): Sample => [{ standing }, value]),
  },
]
