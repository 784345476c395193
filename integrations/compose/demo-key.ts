import { readFileSync } from 'node:fs'

/**
 * The key of the demo tenant's gateway, from the file that the first start leaves in the data folder.
 *
 * @throws when the file has none
 */
export function keyIn(file: string): string {
  const { gatewayKey } = JSON.parse(readFileSync(file, 'utf8')) as { readonly gatewayKey?: unknown }
  if (typeof gatewayKey !== 'string') throw new Error(`${file} has no gateway key`)
  return gatewayKey
}
