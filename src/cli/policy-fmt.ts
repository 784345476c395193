import type { Command } from 'commander'
import { readPolicyFolder } from '#admin/policy-folder.ts'
import { writeFileAtomically } from '#admin/write-file.ts'
import type { SourceFile } from '#model/release.ts'
import type { Diagnostic } from '#policy/compile/diagnostic.ts'
import type { CliContext } from './context.ts'
import { renderDiagnostic } from './diagnostic.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import { folderArgument } from './folder-argument.ts'
import { printable } from './table.ts'

/** `warder policy fmt`. */
export function addFormatCommand(policy: Command, context: CliContext): void {
  policy
    .command('fmt')
    .addArgument(folderArgument())
    .option('--check', 'change nothing; list what is not in standard form and exit with 1')
    .description('bring *.cedar files into the standard form; comments stay')
    .action(async (directory: string, flags: { readonly check?: boolean }, command: Command) => {
      const output = context.output(command)
      const { formatted, errors, total } = await formatAll(directory)
      for (const diagnostic of errors) output.note(`${renderDiagnostic(diagnostic)}\n`)
      const check = flags.check === true
      if (!check) await writeAll(directory, formatted)
      const names = formatted.map(({ name }) => name)
      const state = check ? 'not in standard form' : 'formatted'
      const summary = `${names.length} of ${total} files ${state}`
      output.object({ ok: errors.length === 0 && !(check && names.length > 0), changed: names, errors }, [
        ...names.map((name) => `${state}: ${printable(name)}`),
        summary,
      ])
      requireFormatted(errors.length, check ? names.length : 0, directory)
    })
}

async function writeAll(directory: string, files: readonly SourceFile[]): Promise<void> {
  for (const { name, text } of files) {
    const written = await writeFileAtomically(`${directory}/${name}`, text)
    if (!written.ok) throw fromAdmin(written.failure)
  }
}

function requireFormatted(errors: number, unformatted: number, directory: string): void {
  if (errors > 0)
    throw new CliFailure(EXIT.wrong, {
      code: 'policy.invalid',
      message: 'files that can not be parsed were left as they are',
    })
  if (unformatted > 0)
    throw new CliFailure(EXIT.wrong, {
      code: 'policy.unformatted',
      message: 'the folder has files that are not in standard form',
      help: `run \`warder policy fmt ${directory}\``,
    })
}

/** New texts of the files that are not in standard form yet. */
async function formatAll(directory: string): Promise<{
  readonly formatted: readonly SourceFile[]
  readonly errors: readonly Diagnostic[]
  readonly total: number
}> {
  const files = await readPolicyFolder(directory)
  if (!files.ok) throw fromAdmin(files.failure)
  // Loaded only now: the engine would slow down every other command.
  const { formatPolicies } = await import('#policy/compile/format-policies.ts')
  const policies = files.value.filter(({ name }) => name.endsWith('.cedar'))
  const formatted: SourceFile[] = []
  const errors: Diagnostic[] = []
  for (const file of policies) {
    const text = formatPolicies(file)
    if (!text.ok) errors.push(...text.failure)
    else if (text.value !== file.text) formatted.push({ name: file.name, text: text.value })
  }
  return { formatted, errors, total: policies.length }
}
