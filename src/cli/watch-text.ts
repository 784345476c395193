import type { WatchEvent } from '#admin/watch-policies.ts'
import { renderDiagnostic } from './diagnostic.ts'

/** What `serve --watch` prints about one state of the folder: lines for people, or one line of JSON. */
export function watchText(event: WatchEvent, json: boolean): string {
  if (json) return `${JSON.stringify(event)}\n`
  if (event.kind === 'failed') return `policies: ${event.message}; trying again [${event.code}]\n`
  const findings = event.kind === 'active' ? event.warnings : event.diagnostics
  const lines = findings.map((finding) => `${renderDiagnostic(finding)}\n`)
  if (event.kind === 'active')
    lines.push(
      `policies: ${event.pushed.release} is active, ${event.pushed.policies} policies with guardrails`,
    )
  else lines.push('policies: the folder has errors; what was active stays active')
  return `${lines.join('\n')}\n`
}
