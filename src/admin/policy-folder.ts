import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { failed, type Result, success } from '#lib/result.ts'
import type { SourceFile } from '#model/release.ts'
import { type AdminFailure, invalid } from './failure.ts'

/** Files of a folder that belong to a release; other files are left alone. */
const POLICY_FILE = /\.(?:cedar|cedarschema)$/
const TEST_FILE = /\.json$/
const TESTS = 'tests'

const POLICIES = fileURLToPath(new URL('../../policies/', import.meta.url))

/** What every release is compiled with, from the installation itself. */
export interface ShippedPolicies {
  readonly guardrails: readonly SourceFile[]
  readonly warderSchema: string
}

/**
 * Reads the policy folder `directory`: `*.cedar`, `*.cedarschema` and `tests/*.json`, not recursive, sorted by name. Names
 * are relative to the folder.
 */
export async function readPolicyFolder(
  directory: string,
): Promise<Result<readonly SourceFile[], AdminFailure>> {
  const own = await listFiles(directory, POLICY_FILE)
  if (own === undefined) {
    return failed(
      invalid('folder.unreadable', `the folder ${directory} can not be read`, 'name an existing folder'),
    )
  }
  if (!own.some((name) => name.endsWith('.cedar'))) {
    return failed(
      invalid('folder.empty', `the folder ${directory} holds no .cedar file`, 'subfolders are not read'),
    )
  }
  const tests = (await listFiles(join(directory, TESTS), TEST_FILE)) ?? []
  return readFiles(directory, [...own, ...tests.map((name) => `${TESTS}/${name}`)])
}

/** A text that changes whenever a file of the policy folder changes, appears or goes; made without reading them. */
export async function fingerprintFolder(directory: string): Promise<string> {
  const own = (await listFiles(directory, POLICY_FILE)) ?? []
  const tests = (await listFiles(join(directory, TESTS), TEST_FILE)) ?? []
  const lines: string[] = []
  for (const name of [...own, ...tests.map((test) => `${TESTS}/${test}`)]) {
    const found = await stat(join(directory, name), { bigint: true }).catch(() => undefined)
    lines.push(
      JSON.stringify([name, ...[found?.ino, found?.size, found?.mtimeNs, found?.ctimeNs].map(String)]),
    )
  }
  return lines.join('\n')
}

/** The shipped guardrails and schema, found beside the sources of this installation. */
export async function readShippedPolicies(): Promise<ShippedPolicies> {
  const folder = join(POLICIES, 'guardrails')
  const guardrails = await readFiles(folder, (await listFiles(folder, POLICY_FILE)) ?? [])
  // INVARIANT: without its guardrails no release is made, so a damaged installation can not weaken one.
  if (!guardrails.ok || guardrails.value.length === 0) throw new Error('the shipped guardrails are missing')
  return {
    guardrails: guardrails.value,
    warderSchema: await readFile(join(POLICIES, 'schema.cedarschema'), 'utf8'),
  }
}

/** Path of a shipped example such as `demo`. */
export function exampleFolder(name: string): string {
  return join(POLICIES, 'examples', name)
}

/** The text of one file, which must be UTF-8. */
export async function readTextFile(path: string): Promise<Result<string, AdminFailure>> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch {
    return failed(invalid('file.unreadable', `the file ${path} can not be read`, 'name an existing file'))
  }
  try {
    return success(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return failed(invalid('file.encoding', `the file ${path} is not valid UTF-8`, 'save it as UTF-8'))
  }
}

async function readFiles(
  directory: string,
  names: readonly string[],
): Promise<Result<readonly SourceFile[], AdminFailure>> {
  const files: SourceFile[] = []
  for (const name of names) {
    const text = await readTextFile(join(directory, name))
    if (!text.ok) return text
    files.push({ name, text: text.value })
  }
  return success(files)
}

/** Sorted names of the files in `directory` that match; undefined when it can't be listed. */
async function listFiles(directory: string, pattern: RegExp): Promise<readonly string[] | undefined> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && pattern.test(entry.name))
      .map((entry) => entry.name)
      .toSorted()
  } catch {
    return undefined
  }
}
