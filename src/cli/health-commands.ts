import { readFileSync } from 'node:fs'
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getOverTls } from 'node:https'
import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { type CliDetail, CliFailure, EXIT } from './failure.ts'
import type { CliSettings } from './options.ts'
import { settingsOf } from './services.ts'

/** What `/readyz` of the admin listener says. */
interface Readiness {
  readonly ready: boolean
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
}

/** Shorter than what Docker and Kubernetes are told to wait, so that the reason is printed. */
const TIMEOUT_MILLISECONDS = 3_000

/** `warder health`: for probes inside a container, whose admin listener nobody outside can reach. */
export function addHealthCommands(program: Command, context: CliContext): void {
  program
    .command('health')
    .description('ask the running server whether it may decide; exit code 0 when it is ready, else 1')
    .action(async (_flags: object, command: Command) => {
      const output = context.output(command)
      const readiness = await ask(settingsOf(context.options))
      if (!readiness.ready) throw notReady(readiness)
      output.object(readiness, ['ready'])
    })
}

async function ask({ adminListen, tlsCertificate, tlsListeners }: CliSettings): Promise<Readiness> {
  const { host, port } = adminListen
  const certificate = tlsListeners.includes('admin') ? tlsCertificate : undefined
  const scheme = certificate === undefined ? 'http' : 'https'
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}/readyz`
  try {
    const { status, body } = await get(url, certificate)
    const readiness = parseReadiness(JSON.parse(body))
    // INVARIANT: the status and the body must both say so.
    if (readiness !== undefined) return { ...readiness, ready: readiness.ready && status === 200 }
  } catch {
    // Nothing listens, or something else than Warder: said below.
  }
  throw new CliFailure(EXIT.wrong, {
    code: 'health.unreachable',
    message: `no server answers at ${url}`,
    help: 'is it running, with the same settings as this command, and without demanding a client certificate?',
  })
}

/** One GET; over TLS only from a server that has the certificate of this file, whatever name it was made for. */
function get(url: string, certificate: string | undefined): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const onAnswer = (incoming: IncomingMessage) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      )
    }
    const usual = { agent: false, signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) }
    const outgoing =
      certificate === undefined
        ? getPlain(url, usual, onAnswer)
        : getOverTls(url, { ...usual, ...onlyFrom(certificate) }, onAnswer)
    outgoing.on('error', reject)
  })
}

function onlyFrom(certificate: string) {
  // The address is this machine's own and is in no certificate.
  return { ca: readFileSync(certificate), allowPartialTrustChain: true, checkServerIdentity: () => undefined }
}

function parseReadiness(json: unknown): Readiness | undefined {
  if (typeof json !== 'object' || json === null) return undefined
  const { ready, checks } = json as Partial<Readiness>
  return typeof ready === 'boolean' && Array.isArray(checks) ? { ready, checks } : undefined
}

function notReady({ checks }: Readiness): CliFailure {
  const details: readonly CliDetail[] = checks
    .filter(({ ok }) => !ok)
    .map(({ name, detail }) => ({ path: name, message: detail, help: undefined }))
  const failure = { code: 'health.not_ready', message: 'the server runs, but denies everything' }
  return new CliFailure(EXIT.wrong, failure, details)
}
