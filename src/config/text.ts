import { SETTINGS } from '#config.ts'

/** The text of docs/configuration.md, made from the table. */
export function renderConfiguration(): string {
  const sections = SETTINGS.map((entry) => {
    const initial = entry.fallback === undefined ? 'unset' : `\`${entry.fallback}\``
    const secret = entry.secret ? ' · secret, never shown or logged' : ''
    return `## ${entry.variable}\n${entry.about}\n\n${entry.accepts} · default ${initial}${secret}\n`
  })
  return `# Configuration
Warder reads environment variables, once, at start. It reports every problem together and does not start with one: a value
out of range, an unknown \`WARDER_*\` variable, or an unsafe combination (an admin listener beyond loopback without TLS, two
listeners on one address, polling too slow for the freshness bound). An empty variable counts as unset.

The standard \`OTEL_*\` variables send traces and the process log to a collector: see [operations.md](operations.md#traces-and-logs-over-otlp).

${sections.join('\n')}`
}
