import { CommanderError } from 'commander'
import { CliFailure, EXIT, type ExitCode } from './failure.ts'
import type { CliOptions } from './options.ts'
import { Output } from './output.ts'
import { createProgram } from './program.ts'

/**
 * Runs one command line (without the interpreter and the script) to its end and gives the exit code. Prints every
 * failure; never throws.
 */
export async function runCli(args: readonly string[], options: CliOptions): Promise<ExitCode> {
  const output = new Output(wantsJson(args), options.stdout, options.stderr)
  // Whoever reads the output may have seen enough (`| head`); that is not a fault, and `logs tail` ends then.
  const closed = new AbortController()
  options.stdout.on?.('error', () => closed.abort())
  const signal = AbortSignal.any([closed.signal, ...(options.signal === undefined ? [] : [options.signal])])
  try {
    await createProgram({ ...options, signal }).parseAsync([...args], { from: 'user' })
    return EXIT.ok
  } catch (fault) {
    const failure = toFailure(fault)
    if (failure === undefined) return EXIT.ok
    output.failure(failure)
    return failure.exit
  }
}

/** Undefined where commander ends early although nothing is wrong (`--help`). */
function toFailure(fault: unknown): CliFailure | undefined {
  if (fault instanceof CliFailure) return fault
  if (!(fault instanceof CommanderError)) {
    const message = fault instanceof Error ? fault.message : 'unknown fault'
    return new CliFailure(EXIT.internal, {
      code: 'internal.fault',
      message: `a fault in Warder itself: ${message}`,
      help: 'run it again with WARDER_LOG_LEVEL=debug and report what you see',
    })
  }
  if (fault.exitCode === 0) return undefined
  const missing = fault.code === 'commander.help'
  const message = missing ? 'a command is missing' : fault.message.replace(/^error: /, '').replace(/\n/g, ' ')
  return new CliFailure(EXIT.usage, { code: 'cli.usage', message, help: 'see `warder --help`' })
}

function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? undefined : end).includes('--json')
}
