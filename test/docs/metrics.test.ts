import { expect, test } from 'vitest'
import { createMetrics, type MetricDescription } from '#http/metrics.ts'
import { metricSources } from '../support/metric-sources.ts'

/** The process metrics that exist on Linux alone. */
const LINUX_ONLY =
  /^process_(?:open_fds|max_fds|virtual_memory_bytes|heap_bytes|resident_memory_bytes|start_time_seconds)$/

/** The text of docs/metrics.md, made from the registry of a server. */
function render(metrics: readonly MetricDescription[]): string {
  const table = (ours: boolean): string =>
    metrics
      .filter(({ name }) => name.startsWith('warder_') === ours && !LINUX_ONLY.test(name))
      .map(({ name, type, labels, help }) => {
        const shown = labels.map((label) => `\`${label}\``).join(', ')
        return `| \`${name}\` | ${type} | ${shown} | ${help} |`
      })
      .join('\n')
  return `# Metrics
\`GET /metrics\` on the admin listener, in the Prometheus text format. No label holds a key, a token, or a part of a request. Every
label has a bounded number of values: the first 50 tenants have series of their own, the others share \`_other\`.

A dashboard is in [integrations/grafana](../integrations/grafana/warder-dashboard.json), alerts are in
[integrations/prometheus](../integrations/prometheus/alerts.yml); what to do about them is in [operations.md](operations.md).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${table(true)}

## The process
As every Node.js server with \`prom-client\` shows them; on Linux file descriptors and memory of the process (\`process_open_fds\`,
\`process_resident_memory_bytes\`) too.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${table(false)}
`
}

test('docs/metrics.md shows every metric with its type, labels and meaning', async () => {
  const metrics = createMetrics()
  metrics.watch(metricSources())
  await expect(render(await metrics.describe())).toMatchFileSnapshot('../../docs/metrics.md')
})
