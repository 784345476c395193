import type { Diagnostic } from '#policy/compile/diagnostic.ts'
import { printable } from './table.ts'

/** A finding of the compiler for humans: place, message, the source line with a caret under the column, and help. */
export function renderDiagnostic(diagnostic: Diagnostic): string {
  const { severity, code, message, help, file, line, column, source } = diagnostic
  const lines = [`${printable(file)}:${line}:${column}: ${severity}: ${printable(message)} [${code}]`]
  if (source !== '') {
    // Tabs stay tabs on both lines, so that the caret stands under its character whatever their width is.
    const lead = [...source.slice(0, column - 1)].map((character) =>
      character === '\t' ? '\t' : ' '.repeat(printable(character).length),
    )
    lines.push(`${line} | ${source.split('\t').map(printable).join('\t')}`)
    lines.push(`${' '.repeat(`${line}`.length)} | ${lead.join('')}^`)
  }
  if (help !== undefined) lines.push(`  help: ${printable(help)}`)
  return lines.join('\n')
}
