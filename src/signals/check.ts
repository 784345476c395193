import { randomBytes } from 'node:crypto'
import {
  type ManagedStream,
  type ToldStatus,
  type TransmitterClient,
  TransmitterRefusal,
} from './transmitter-client.ts'

/** What transmitters were asked and what they said, durably. */
export interface Questions {
  /** From now on a verification event with `state` is expected, within `seconds`. */
  asked(stream: string, state: string, seconds: number): Promise<void>
  /** None with `state` is expected any more. */
  withdrawn(stream: string, state: string): Promise<void>
  /** The transmitter says what the status of the stream is. */
  told(stream: string, told: ToldStatus): Promise<void>
}

/** What a check needs. */
export interface CheckParts {
  readonly client: TransmitterClient
  readonly questions: Questions
}

/** For so long a verification event may take; polling backs off up to five minutes. */
export const ANSWER_SECONDS_MAX = 600
const STATE_BYTES = 24

/**
 * Asks the transmitter of a stream for a verification event with a random `state`.
 *
 * INVARIANT: the state is stored before it is sent, so that the event can't come before it is expected; it is forgotten only where
 * the transmitter has said that it will send none. An answer that was lost leaves the question open.
 *
 * @throws when it can't be asked or refuses
 */
export async function askVerification(
  stream: ManagedStream,
  { client, questions }: CheckParts,
): Promise<void> {
  const state = randomBytes(STATE_BYTES).toString('base64url')
  await questions.asked(stream.id, state, ANSWER_SECONDS_MAX)
  try {
    await client.verify(stream, state)
  } catch (error) {
    if (error instanceof TransmitterRefusal && error.status < 500) await questions.withdrawn(stream.id, state)
    throw error
  }
}

/**
 * Asks a transmitter how a stream is, and for a verification event, as far as it offers both. One that offers neither is asked for
 * the configuration, so that it knows that somebody is there.
 *
 * @throws when an answer is missing or wrong
 */
export async function checkStream(stream: ManagedStream, parts: CheckParts): Promise<void> {
  const { client, questions } = parts
  const { status, verification } = stream.management.endpoints
  if (status !== undefined) await questions.told(stream.id, await client.status(stream))
  if (verification !== undefined) await askVerification(stream, parts)
  if (status === undefined && verification === undefined) await client.read(stream)
}
