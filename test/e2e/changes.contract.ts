import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { pushDemo, setAgentStatus, TENANT } from './demo.ts'
import { send } from './http.ts'
import { until } from './ports.ts'
import type { Scene } from './scene.ts'

const ACT_WITHIN_MILLISECONDS = 1_000

const READING_IS_PAUSED = `@id("reading-is-paused")
@reason("Reading is paused.")
forbid (principal, action in Warder::Action::"readTools", resource);
`

/** Changes that act on a running server. */
export function changes(scene: () => Scene): void {
  test('an agent that is suspended is denied within a second', async () => {
    const { warder, ask } = scene()
    const status = async () => (await ask('triage-bot', 'alice', { path: '/repos' })).status
    expect(await status()).toBe(200)
    await setAgentStatus(warder, 'triage-bot', 'suspended')
    try {
      await until('the agent is denied', ACT_WITHIN_MILLISECONDS, async () => (await status()) === 403)
      const { body } = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(body).toContain('agent.suspended')
    } finally {
      await setAgentStatus(warder, 'triage-bot', 'active')
    }
    await until('the agent is back', ACT_WITHIN_MILLISECONDS, async () => (await status()) === 200)
  })

  test('a gateway whose key is revoked lets nothing through within a second', async () => {
    const { warder, issuer, upstream } = scene()
    const second = await scene().addGateway('second')
    const headers = { authorization: `Bearer ${await issuer.token('triage-bot', 'alice')}` }
    const status = async () => (await send(second.port, { path: '/repos', headers })).status
    expect(await status()).toBe(200)
    await warder.cli('gateway', 'revoke', 'second', '--tenant', TENANT)
    await until('nothing passes', ACT_WITHIN_MILLISECONDS, async () => (await status()) !== 200)
    upstream.forget()
    for (let i = 0; i < 20; i++) expect(await status()).toBeGreaterThanOrEqual(400)
    expect(upstream.received).toEqual([])
  })

  test('an activation changes the answer within a second, and no request fails meanwhile', async () => {
    const { warder, ask } = scene()
    const release = await pushDemo(warder, { 'reading-is-paused.cedar': READING_IS_PAUSED })
    const answers: { readonly at: number; readonly status: number; readonly body: string }[] = []
    const stop = new AbortController()
    const loop = async () => {
      while (!stop.signal.aborted) {
        const { status, body } = await ask('triage-bot', 'alice', { path: '/repos' })
        answers.push({ at: performance.now(), status, body })
      }
    }
    const loops = Promise.all([loop(), loop(), loop()])
    await until('requests flow', 60_000, () => answers.length > 30)
    await warder.cli('policy', 'activate', release, '--tenant', TENANT)
    const activated = performance.now()
    await sleep(ACT_WITHIN_MILLISECONDS + 500)
    stop.abort()
    await loops
    await warder.cli('policy', 'activate', scene().release, '--tenant', TENANT)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 403]))
    const firstDeny = answers.findIndex(({ status }) => status === 403)
    const late = answers.filter(
      ({ at, status }) => at > activated + ACT_WITHIN_MILLISECONDS && status !== 403,
    )
    expect(late).toEqual([])
    expect(answers[firstDeny]?.body).toContain('policy.forbid')
    // Requests overlap, so single allows may arrive behind the first deny, but only those that were under way.
    const stragglers = answers.slice(firstDeny + 3).filter(({ status }) => status === 200)
    expect(stragglers).toEqual([])
  })
}
