import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestIssuer } from './issuer.ts'
import type { Warder } from './warder.ts'

/** The tenant whose policies and registry are shipped. */
export const TENANT = 'demo'

const POLICIES = 'policies/examples/demo'

/** Sets up the demo tenant through the command line, as an operator would. */
export async function prepareDemo(warder: Warder, issuer: TestIssuer): Promise<void> {
  await warder.cli('registry', 'import', join(POLICIES, 'registry.json'), '--tenant', TENANT)
  await withFile('issuer.json', issuer.document, async (file) => {
    await warder.cli('issuer', 'add', file, '--tenant', TENANT)
  })
}

/** Registers a gateway, with further options of the command, and gives its key. */
export async function addGateway(
  warder: Warder,
  name: string,
  ...options: readonly string[]
): Promise<string> {
  const added = await warder.json('gateway', 'add', name, '--tenant', TENANT, ...options)
  return textOf(added, 'key')
}

/** Pushes the demo policies and `extra` (file name and text) and activates them; gives the release id. */
export async function pushDemo(
  warder: Warder,
  extra: Readonly<Record<string, string>> = {},
  ...options: readonly string[]
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'warder-policies-'))
  try {
    for (const name of readdirSync(POLICIES))
      if (name.endsWith('.cedar') || name.endsWith('.cedarschema'))
        copyFileSync(join(POLICIES, name), join(folder, name))
    for (const [name, text] of Object.entries(extra)) writeFileSync(join(folder, name), text)
    const pushed = await warder.json('policy', 'push', folder, '--tenant', TENANT, ...options)
    return textOf(pushed, 'release')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Sets the registered status of one of the demo's agents, everything else as shipped. */
export async function setAgentStatus(warder: Warder, agent: string, status: string): Promise<void> {
  const { entities } = parseRegistry(readFileSync(join(POLICIES, 'registry.json'), 'utf8'))
  const found = entities.find(({ uid }) => uid.type === 'Warder::Agent' && uid.id === agent)
  if (found === undefined) throw new Error(`the demo has no agent ${agent}`)
  const changed = { entities: [{ ...found, attrs: { ...found.attrs, status } }] }
  await withFile('registry.json', changed, async (file) => {
    await warder.cli('registry', 'import', file, '--tenant', TENANT)
  })
}

/** A string member of what a command printed. */
export function textOf(value: unknown, member: string): string {
  const found = typeof value === 'object' && value !== null ? Reflect.get(value, member) : undefined
  if (typeof found !== 'string') throw new Error(`no \`${member}\` in ${JSON.stringify(value)}`)
  return found
}

interface RegistryEntity {
  readonly uid: { readonly type: string; readonly id: string }
  readonly attrs: object
}

function parseRegistry(text: string): { readonly entities: readonly RegistryEntity[] } {
  return JSON.parse(text) as { readonly entities: readonly RegistryEntity[] }
}

async function withFile(name: string, json: object, use: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'warder-file-'))
  try {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(json))
    await use(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
