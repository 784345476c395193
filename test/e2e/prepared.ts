import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { prepareDemo, pushDemo } from './demo.ts'
import { createIssuer, type TestIssuer } from './issuer.ts'
import { startWarder, type Warder, type WarderPlace } from './warder.ts'

/** A running server with the demo tenant, the issuer that it trusts, and its policies active. */
export interface Demo {
  readonly warder: Warder
  readonly issuer: TestIssuer
  /** Id of the active release. */
  readonly release: string
}

/** Names the folder in which the set-up of a run has left data for its servers; unset outside of a run. */
const VARIABLE = 'E2E_PREPARED'
const FILE = 'e2e.json'

/**
 * Makes, in the empty `folder`, what {@link startDemo} then copies: a first start and everything that an operator does
 * after it take much longer than a start on a copy.
 */
export async function prepareData(folder: string): Promise<void> {
  const { warder, issuer, release } = await startDemoAnew({ dataDir: folder })
  await warder.stop()
  writeFileSync(join(folder, FILE), JSON.stringify({ secret: issuer.secret, release }))
  process.env[VARIABLE] = folder
}

/** The data that {@link prepareData} made, for `copyOf` of a server; undefined when it was not called. */
export function preparedData(): string | undefined {
  return process.env[VARIABLE]
}

/** Starts a server with the demo tenant, on a copy of the prepared data where there are some. */
export async function startDemo(): Promise<Demo> {
  const folder = preparedData()
  if (folder === undefined) return await startDemoAnew()
  const { secret, release } = parsePrepared(readFileSync(join(folder, FILE), 'utf8'))
  const issuer = await createIssuer(secret)
  return { warder: await startWarder({}, { copyOf: folder }), issuer, release }
}

async function startDemoAnew(place: WarderPlace = {}): Promise<Demo> {
  const warder = await startWarder({}, place)
  try {
    const issuer = await createIssuer()
    await prepareDemo(warder, issuer)
    return { warder, issuer, release: await pushDemo(warder, {}, '--activate') }
  } catch (error) {
    await warder.remove()
    throw error
  }
}

function parsePrepared(text: string): { readonly secret: JWK; readonly release: string } {
  return JSON.parse(text) as { readonly secret: JWK; readonly release: string }
}
