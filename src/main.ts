#!/usr/bin/env node
import type { WatchEvent } from '#admin/watch-policies.ts'
import type { ServeOptions } from '#cli/options.ts'
import { runCli } from '#cli/run.ts'
import { readConfig } from '#config.ts'
import { installedVersion } from '#version.ts'

const TELEMETRY_GRACE_MILLISECONDS = 2_000

/**
 * Runs the server until SIGTERM or SIGINT has drained it; a second signal ends at once. SIGHUP reads the TLS files again;
 * SIGUSR2 replaces the processes that decide, one after the other.
 */
async function serve({ watched, workers }: ServeOptions): Promise<void> {
  if (workers !== undefined) process.env['WARDER_WORKERS'] = workers
  const config = readConfig({ ...process.env })
  if (!config.ok) {
    for (const { variable, message, help } of config.failure)
      process.stderr.write(`${variable}: ${message}\n  ${help}\n`)
    process.exit(2)
  }
  // Loaded only here: the engine and the listeners would slow down every other command.
  const { startServer } = await import('#wire.ts')
  const { createProcessLog } = await import('#process/log.ts')
  const { welcome } = await import('#cli/welcome.ts')
  const { watchText } = await import('#cli/watch-text.ts')
  const { openTelemetry } = await import('#telemetry/open.ts')
  const { shareOf } = await import('#process/share.ts')
  const telemetry = await openTelemetry({ ...process.env }, installedVersion())
  const logger = createProcessLog(config.value.logLevel, telemetry)
  for (const warning of telemetry?.warnings ?? []) logger.warn(warning)
  const { share, stopped, serving } = shareOf(config.value, logger)
  try {
    const server = await startServer(config.value, logger, telemetry, share)
    serving(server)
    if (share.role !== 'front') process.stdout.write(welcome(server.addresses, server.demo))
    if (watched !== undefined && share.role !== 'front') {
      const onEvent = (event: WatchEvent) => process.stdout.write(watchText(event, watched.json))
      server.watchPolicies({ directory: watched.directory, tenant: watched.tenant, onEvent })
    }
    logger.info({ signal: await stopped }, 'draining')
    await server.close()
    logger.info('stopped')
  } finally {
    // A collector that does not answer must not keep a stopped server alive: its exporter would go on trying.
    const isComplete = (await telemetry?.close(TELEMETRY_GRACE_MILLISECONDS)) ?? true
    if (!isComplete) setTimeout(() => process.exit(), 100).unref()
    if (share.role === 'front') process.disconnect()
  }
}

// A reader that closes the pipe early, such as `head`, has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const interrupted = new AbortController()
if (process.argv[2] !== 'serve') {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => interrupted.abort())
}

process.exitCode = await runCli(process.argv.slice(2), {
  serve,
  env: process.env,
  readConfig,
  version: installedVersion(),
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
})
