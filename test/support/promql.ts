import { createMetrics, type MetricDescription } from '#http/metrics.ts'
import { metricSources } from './metric-sources.ts'

/** Labels that Prometheus itself adds. */
const OUTSIDE_LABELS = ['instance', 'job', 'le']
const NAME = /\b(?:warder|process|nodejs)_\w+/g
const SELECTOR = /\b((?:warder|process|nodejs)_\w+)\{([^}]*)\}/g

/** Every metric of a server by name; parts of histograms by their own. */
export async function knownMetrics(): Promise<ReadonlyMap<string, MetricDescription>> {
  const metrics = createMetrics()
  metrics.watch(metricSources())
  const found = await metrics.describe()
  return new Map(
    found.flatMap((metric) => {
      const parts = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      return parts.map((part): [string, MetricDescription] => [`${metric.name}${part}`, metric])
    }),
  )
}

/** Metrics and labels of a PromQL expression that no server has, and brackets that do not match. */
export function unknownIn(
  expression: string,
  known: ReadonlyMap<string, MetricDescription>,
): readonly string[] {
  const bare = expression.replaceAll(/"[^"]*"/g, '""')
  const names = [...bare.matchAll(NAME)].map(([name]) => name).filter((name) => !known.has(name))
  const labels = [...bare.matchAll(SELECTOR)].flatMap(([, name = '', inside = '']) =>
    [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)]
      .map(([, label = '']) => label)
      .filter((label) => ![...OUTSIDE_LABELS, ...(known.get(name)?.labels ?? [])].includes(label))
      .map((label) => `${name}{${label}}`),
  )
  const isBalanced = ['()', '{}', '[]'].every(
    ([open = '', close = '']) => bare.split(open).length === bare.split(close).length,
  )
  return [...names, ...labels, ...(isBalanced ? [] : ['brackets'])]
}
