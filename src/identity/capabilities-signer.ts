import { importPKCS8, SignJWT } from 'jose'
import type { EpochSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'

/** Tools that may be called, by the name that the gateway has for their server. */
export type PermittedTools = Readonly<Record<string, readonly string[]>>

/** Signs what a caller may list, as the value of `x-mcp-authorized`; good for a minute from `now`. */
export type SignCapabilities = (tools: PermittedTools, now: EpochSeconds) => Promise<Hidden>

const ALGORITHM = 'ES256'
/** The list is made for one call; the rest is for clocks that differ. */
const LIFETIME_SECONDS = 60

/**
 * A signer with the operator's own key, because the gateway is configured with one public key and knows no key set.
 *
 * @param pem PKCS #8, an EC key on P-256
 * @throws when it is anything else
 * @see Kuadrant/mcp-gateway internal/broker/filtered_tools_handler.go: ES256, claim `allowed-capabilities`, a text that holds JSON
 */
export async function createCapabilitiesSigner(pem: string): Promise<SignCapabilities> {
  const key = await importPKCS8(pem, ALGORITHM)
  return async (tools, now) =>
    new Hidden(
      await new SignJWT({ 'allowed-capabilities': JSON.stringify({ tools }) })
        .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
        .setIssuedAt(now)
        .setExpirationTime(now + LIFETIME_SECONDS)
        .sign(key),
    )
}
