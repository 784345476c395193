import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { REASONS } from '#model/reasons.ts'
import { knownMetrics, unknownIn } from '../support/promql.ts'

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly targets?: readonly { readonly expr: string }[]
}

const rules: { readonly groups: readonly { readonly rules: readonly Alert[] }[] } = parse(
  readFileSync('integrations/prometheus/alerts.yml', 'utf8'),
)
const alerts = rules.groups.flatMap((group) => group.rules)
const dashboard: { readonly panels: readonly Panel[] } = JSON.parse(
  readFileSync('integrations/grafana/warder-dashboard.json', 'utf8'),
)
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }): [string, string] => [title, expr]),
)
const known = await knownMetrics()

/** Sections of docs/operations.md by the anchor that GitHub gives to their heading. */
const sections = new Map(
  readFileSync('docs/operations.md', 'utf8')
    .split(/^#{2,3} /m)
    .slice(1)
    .map((section) => {
      const heading = section.slice(0, section.indexOf('\n'))
      const anchor = heading
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-')
      return [anchor, section]
    }),
)

describe('alerts', () => {
  test.each(alerts)('$alert asks for metrics that exist', ({ expr }) => {
    expect(unknownIn(expr, known)).toEqual([])
    const reasons = [...expr.matchAll(/reason="([^"]+)"/g)].map(([, code]) => code)
    expect(Object.keys(REASONS)).toEqual(expect.arrayContaining(reasons))
  })

  test.each(alerts)('$alert has a severity, a summary and a runbook that names it', (each) => {
    expect(['critical', 'warning', 'info']).toContain(each.labels.severity)
    expect(each.annotations.summary).toMatch(/\w/)
    const [file, anchor = ''] = each.annotations.runbook.split('#')
    expect(file).toBe('docs/operations.md')
    expect(sections.get(anchor)).toContain(`\`${each.alert}\``)
  })

  test('names are used once, and every alert of the runbook exists', () => {
    const names = alerts.map(({ alert }) => alert)
    expect(new Set(names).size).toBe(names.length)
    const told = [...sections.values()].flatMap((section) =>
      [...section.matchAll(/`(Warder[A-Z]\w+)`/g)].map(([, name]) => name),
    )
    expect(new Set(told)).toEqual(new Set(names))
  })

  test('a metric that does not exist would be found', () => {
    expect(unknownIn('rate(warder_decisons_total{outcom="x"}[5m]', known)).toEqual([
      'warder_decisons_total',
      'warder_decisons_total{outcom}',
      'brackets',
    ])
  })
})

describe('the dashboard', () => {
  test.each(queries)('%s asks for metrics that exist: %s', (_title, expr) => {
    expect(unknownIn(expr.replaceAll('$__rate_interval', '5m'), known)).toEqual([])
  })

  test('panels have their own ids and places', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })

  test('shows every metric of ours', () => {
    const shown = queries.map(([, expr]) => expr).join('\n')
    const missing = [...known.values()]
      .map(({ name }) => name)
      .filter((name) => name.startsWith('warder_'))
      .filter((name) => !new RegExp(`\\b${name}(?:_bucket)?\\b`).test(shown))
    // What is useful only beside others: how much, not how well.
    expect([...new Set(missing)].toSorted()).toEqual([
      'warder_cache_entries',
      'warder_log_batches_total',
      'warder_tenant_release_info',
      'warder_tenants',
    ])
  })
})
