import { existsSync } from 'node:fs'
import { describe, test } from 'vitest'
import { findProgram, installPackage } from './binaries.ts'

/** A gateway that the suite runs when it can be had. */
export type Optional<Found> =
  | { readonly found: Found }
  | {
      /** Why it is left out; printed, so that nobody takes silence for a pass. */
      readonly missing: string
    }

/** Path of a program that a package of the distribution brings: from PATH, else installed as root. */
export async function findOptional(
  program: string,
  ...packages: readonly string[]
): Promise<Optional<string>> {
  const found = findProgram(program)
  if (found !== undefined) return { found }
  const problem = await install(packages)
  const installed = findProgram(program)
  return installed === undefined ? leftOut(program, problem) : { found: installed }
}

/** Folder with nginx' modules, ngx_lua among them, and lua-cjson beside it. */
export async function findNginxLua(): Promise<Optional<string>> {
  const folder = '/usr/lib/nginx/modules'
  const isThere = () => existsSync(`${folder}/ngx_http_lua_module.so`)
  const packages = ['libnginx-mod-http-lua', 'lua-resty-core', 'lua-cjson']
  const problem = isThere() ? '' : await install(packages)
  return isThere() ? { found: folder } : leftOut('nginx with Lua', problem)
}

async function install(packages: readonly string[]): Promise<string> {
  if (process.getuid?.() !== 0) return 'it is not installed, and only root can install it'
  try {
    for (const each of packages) await installPackage(each)
    return 'it is not there after its installation'
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'it could not be installed'
  }
}

function leftOut(name: string, problem: string): { readonly missing: string } {
  process.stderr.write(`LEFT OUT: ${name}: ${problem}\n`)
  return { missing: problem }
}

/** The tests of a gateway that is there; else one that says in the report that it was left out. */
export function describeFound<Found>(
  name: string,
  optional: Optional<Found>,
  tests: (found: Found) => void,
): void {
  if ('found' in optional) describe(name, () => tests(optional.found))
  else test(`${name} is left out: ${optional.missing}`, () => undefined)
}
