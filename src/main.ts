#!/usr/bin/env node
import { runCli } from '#cli/run.ts'
import { readConfig } from '#config.ts'

/** Runs the server until SIGTERM or SIGINT has drained it; a second signal ends at once. */
async function serve(): Promise<void> {
  const config = readConfig({ ...process.env })
  if (!config.ok) {
    for (const { variable, message, help } of config.failure)
      process.stderr.write(`${variable}: ${message}\n  ${help}\n`)
    process.exit(2)
  }
  // Loaded only here: the engine and the listeners would slow down every other command.
  const { startServer } = await import('#wire.ts')
  const { createProcessLog } = await import('#process-log.ts')
  const { welcome } = await import('#cli/welcome.ts')
  const logger = createProcessLog(config.value.logLevel)
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve(signal)
        process.once(signal, () => process.exit(1))
      })
    }
  })
  const server = await startServer(config.value, logger)
  process.stdout.write(welcome(server.addresses, server.demo))
  logger.info({ signal: await stopped }, 'draining')
  await server.close()
  logger.info('stopped')
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
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
})
