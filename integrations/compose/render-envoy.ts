import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { keyIn } from './demo-key.ts'

/** Where the parts of the compose file find each other, each as `HOST:PORT`. */
export interface Places {
  readonly listen: string
  readonly warder: string
  readonly api: string
}

const TEMPLATE = new URL('../envoy/envoy.yaml', import.meta.url)

/**
 * integrations/envoy/envoy.yaml with the gateway's key and addresses in place; hosts may be names.
 *
 * @throws when the key is none, or the file has no such place to fill
 */
export function renderEnvoy(gatewayKey: string, { listen, warder, api }: Places): string {
  if (!/^wgk_[\w-]{43}$/.test(gatewayKey)) throw new Error('this is not a gateway key')
  const replacements: readonly (readonly [string, string])[] = [
    ['GATEWAY_KEY', gatewayKey],
    [address('127.0.0.1:8080'), address(listen)],
    [address('127.0.0.1:9191'), address(warder)],
    [address('127.0.0.1:8000'), address(api)],
    ['- name: warder\n      type: STATIC', '- name: warder\n      type: STRICT_DNS'],
    ['- name: api\n      type: STATIC', '- name: api\n      type: STRICT_DNS'],
  ]
  let text = readFileSync(TEMPLATE, 'utf8')
  for (const [from, to] of replacements) {
    if (text.split(from).length !== 2) throw new Error(`envoy.yaml must contain \`${from}\` exactly once`)
    text = text.replace(from, () => to)
  }
  return text
}

function address(place: string): string {
  const match = /^([\w.-]+):(\d{1,5})$/.exec(place)
  if (match === null) throw new Error(`\`${place}\` must be HOST:PORT`)
  return `address: ${match[1]}, port_value: ${match[2]} }`
}

function main(): void {
  const text = { type: 'string' } as const
  const options = { key: text, listen: text, warder: text, api: text, out: text }
  const { key = '', listen = '', warder = '', api = '', out = '' } = parseArgs({ options }).values
  const temporary = `${out}.new`
  // Envoy runs as another user and must be able to read it; the folder is shared with nobody else.
  writeFileSync(temporary, renderEnvoy(keyIn(key), { listen, warder, api }), { mode: 0o644 })
  renameSync(temporary, out)
}

if (import.meta.main) main()
