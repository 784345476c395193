import { expect, test } from 'vitest'
import { until } from './ports.ts'
import type { Scene } from './scene.ts'

/** Nothing passes without a decision. */
export function outages(scene: () => Scene): void {
  test('without Warder nothing passes, and everything is back once Warder is', async () => {
    const { warder, upstream, ask } = scene()
    expect((await ask('triage-bot', 'alice', { path: '/repos' })).status).toBe(200)
    await warder.kill()
    upstream.forget()
    const expectNoWay = async () => {
      const answer = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(answer).toMatchObject({ status: 503 })
      expect(JSON.parse(answer.body)).toEqual({ error: 'authorizer_unavailable' })
    }
    await expectNoWay()
    // A gateway may try for some seconds to reach it.
    await Promise.all([expectNoWay(), expectNoWay(), expectNoWay(), expectNoWay()])
    expect(upstream.received).toEqual([])
    await warder.start()
    expect((await ask('triage-bot', 'alice', { path: '/repos' })).status).toBe(200)
  })

  test('a Warder that hangs is a Warder that is not there', async () => {
    const { warder, upstream, ask } = scene()
    warder.pause()
    try {
      upstream.forget()
      const answer = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(answer.status).toBe(503)
      expect(upstream.received).toEqual([])
    } finally {
      warder.resume()
    }
    await until('it answers again', 5_000, async () => {
      return (await ask('triage-bot', 'alice', { path: '/repos' })).status === 200
    })
  })
}
