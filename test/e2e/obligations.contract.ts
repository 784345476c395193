import { expect, test } from 'vitest'
import { pushDemo, TENANT } from './demo.ts'
import { until } from './ports.ts'
import type { Scene } from './scene.ts'

const ACT_WITHIN_MILLISECONDS = 1_000

const READING_IS_STRIPPED = `@id("reading-is-stripped")
@obligation("strip_authorization")
permit (principal is Warder::Agent, action == Warder::Action::"repos/read", resource);
`

/** What a decision adds to or takes from the call. */
export function obligations(scene: () => Scene): void {
  test('set_header arrives at the API and replaces what the client sent', async () => {
    const headers = { 'x-agent-purpose': 'forged' }
    expect((await scene().ask('triage-bot', 'alice', { path: '/repos/7', headers })).status).toBe(200)
    expect(scene().upstream.last().headers['x-agent-purpose']).toBe('agent-read')
  })

  test('a header that only policies set never comes from the client', async () => {
    const headers = { 'x-agent-purpose': 'forged' }
    expect((await scene().ask('triage-bot', 'alice', { path: '/repos', headers })).status).toBe(200)
    expect(scene().upstream.last().headers['x-agent-purpose'] ?? 'none').toBe('none')
  })

  test('the token reaches the API until strip_authorization keeps it away', async () => {
    await scene().ask('triage-bot', 'alice', { path: '/repos/7' })
    expect(scene().upstream.last().headers['authorization']).toMatch(/^Bearer ey/)
    await pushDemo(scene().warder, { 'reading-is-stripped.cedar': READING_IS_STRIPPED }, '--activate')
    try {
      await until('the token is stripped', ACT_WITHIN_MILLISECONDS, async () => {
        const { status } = await scene().ask('triage-bot', 'alice', { path: '/repos/7' })
        expect(status).toBe(200)
        return !('authorization' in scene().upstream.last().headers)
      })
    } finally {
      await scene().warder.cli('policy', 'activate', scene().release, '--tenant', TENANT)
    }
  })
}
