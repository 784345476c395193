import { readFile } from 'node:fs/promises'
import type { Config } from '#config.ts'
import { createCapabilitiesSigner, type SignCapabilities } from '#identity/capabilities-signer.ts'

/**
 * What signs lists of permitted tools, where a key is configured.
 *
 * @throws when the file holds no such key; its content is never part of the message
 */
export async function wireCapabilities({
  mcpAuthorizedKeyFile: path,
}: Pick<Config, 'mcpAuthorizedKeyFile'>): Promise<{ readonly signCapabilities?: SignCapabilities }> {
  if (path === undefined) return {}
  try {
    return { signCapabilities: await createCapabilitiesSigner(await readFile(path, 'utf8')) }
  } catch {
    throw new Error(
      `WARDER_MCP_AUTHORIZED_KEY_FILE: \`${path}\` holds no private EC key on P-256 in PKCS #8; make one with \`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256\``,
    )
  }
}
