import { sendOutbound } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient, type TransmitterClient } from '#signals/transmitter-client.ts'

/** A client of transmitters for one command; its access tokens end with it. */
export function openTransmitterClient(): TransmitterClient {
  return createTransmitterClient(sendOutbound, createTransmitterTokens(sendOutbound, systemClock))
}
