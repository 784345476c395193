/** Seconds since the Unix epoch. */
export type EpochSeconds = number & { readonly __unit: 'epoch-seconds' }

/** Milliseconds since the Unix epoch. */
export type EpochMilliseconds = number & { readonly __unit: 'epoch-milliseconds' }

/** Source of the current time, injected so that tests can freeze it. */
export type Clock = () => EpochMilliseconds

/** The machine's wall clock. */
export const systemClock: Clock = () => Date.now() as EpochMilliseconds

/** Whole seconds of an instant, rounded down. */
export function toSeconds(instant: EpochMilliseconds): EpochSeconds {
  return Math.floor(instant / 1000) as EpochSeconds
}
