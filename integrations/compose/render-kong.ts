import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { keyIn } from './demo-key.ts'

const TEMPLATE = new URL('../kong/kong.yml', import.meta.url)
const PLACE = /^[\w.-]+:\d{1,5}$/

/** Where Kong finds the others, each as `HOST:PORT`. */
export interface KongPlaces {
  readonly warder: string
  readonly api: string
}

/**
 * integrations/kong/kong.yml with the gateway's key and addresses in place.
 *
 * @throws when the key is none, a place is none, or the file has no such place to fill
 */
export function renderKong(gatewayKey: string, { warder, api }: KongPlaces): string {
  if (!/^wgk_[\w-]{43}$/.test(gatewayKey)) throw new Error('this is not a gateway key')
  for (const place of [warder, api]) if (!PLACE.test(place)) throw new Error(`\`${place}\` must be HOST:PORT`)
  const replacements: readonly (readonly [string, string])[] = [
    ['GATEWAY_KEY', gatewayKey],
    ['127.0.0.1:8180', warder],
    ['127.0.0.1:8000', api],
  ]
  let text = readFileSync(TEMPLATE, 'utf8')
  for (const [from, to] of replacements) {
    if (text.split(from).length !== 2) throw new Error(`kong.yml must contain \`${from}\` exactly once`)
    text = text.replace(from, () => to)
  }
  return text
}

function main(): void {
  const text = { type: 'string' } as const
  const options = { key: text, warder: text, api: text, out: text }
  const { key = '', warder = '', api = '', out = '' } = parseArgs({ options }).values
  const temporary = `${out}.new`
  // Kong runs as another user and must be able to read it; the folder is shared with nobody else.
  writeFileSync(temporary, renderKong(keyIn(key), { warder, api }), { mode: 0o644 })
  renameSync(temporary, out)
}

if (import.meta.main) main()
