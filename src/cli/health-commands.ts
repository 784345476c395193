import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { type CliDetail, CliFailure, EXIT } from './failure.ts'
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
      const { host, port } = settingsOf(context.options).adminListen
      const readiness = await ask(`http://${host.includes(':') ? `[${host}]` : host}:${port}/readyz`)
      if (!readiness.ready) throw notReady(readiness)
      output.object(readiness, ['ready'])
    })
}

async function ask(url: string): Promise<Readiness> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS)
    const response = await fetch(url, { redirect: 'error', signal })
    const readiness = parseReadiness(await response.json())
    // INVARIANT: the status and the body must both say so.
    if (readiness !== undefined) return { ...readiness, ready: readiness.ready && response.status === 200 }
  } catch {
    // Nothing listens, or something else than Warder: said below.
  }
  throw new CliFailure(EXIT.wrong, {
    code: 'health.unreachable',
    message: `no server answers at ${url}`,
    help: 'is it running, with the same WARDER_ADMIN_LISTEN as this command?',
  })
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
