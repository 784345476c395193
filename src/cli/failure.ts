import type { AdminFailure } from '#admin/failure.ts'

/** What the process ends with; part of the contract of the commands (docs/cli.md). */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** What was given is wrong: policies with errors, failed tests, a registry file with problems. */
  wrong: 1,
  /** The command line or the environment is wrong. */
  usage: 2,
  /** What is named does not exist, exists already, or may not be done. */
  refused: 3,
  /** The database can't be reached or did not answer. */
  database: 4,
  /** A fault in Warder itself. */
  internal: 70,
} as const

/** How a command can end. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A command that could not do its work; becomes a message and an exit code, never a stack. */
export class CliFailure extends Error {
  readonly exit: ExitCode
  readonly code: string
  readonly help: string | undefined
  /** Lines for humans under the message, and `details` of the JSON error. */
  readonly details: readonly CliDetail[]

  constructor(
    exit: ExitCode,
    failure: { readonly code: string; readonly message: string; readonly help?: string | undefined },
    details: readonly CliDetail[] = [],
  ) {
    super(failure.message)
    this.exit = exit
    this.code = failure.code
    this.help = failure.help
    this.details = details
  }
}

/** One of several things that are wrong. */
export interface CliDetail {
  readonly path: string
  readonly message: string
  readonly help: string | undefined
}

/** The failure of an administrative operation as the end of a command. */
export function fromAdmin(failure: AdminFailure, details: readonly CliDetail[] = []): CliFailure {
  return new CliFailure(failure.kind === 'input' ? EXIT.wrong : EXIT.refused, failure, details)
}

/** There is no such decision. */
export function decisionUnknown(id: string): CliFailure {
  const message = `there is no decision \`${id.slice(0, 80)}\` in the log`
  return new CliFailure(EXIT.refused, { code: 'decision.unknown', message })
}
