import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StartGateway } from './gateway-process.ts'
import { openScene, type Scene } from './scene.ts'

/** Ways to lose or double a header that a decision sets, on a call that is allowed. */
export function headerTricks(start: () => StartGateway): void {
  describe('a header that a decision sets', () => {
    let scene: Scene | undefined
    beforeAll(async () => {
      scene = await openScene(start())
    })
    afterAll(async () => await scene?.close())

    test.each(['close, x-agent-purpose, x-warder-agent', 'upgrade, x-agent-purpose', 'X-Agent-Purpose'])(
      'is not lost when the client writes `Connection: %s`',
      async (connection) => {
        const answer = await scene?.ask('triage-bot', 'alice', { path: '/repos/7', headers: { connection } })
        expect(answer?.status).toBe(200)
        expect(scene?.upstream.last().headers).toMatchObject({
          'x-agent-purpose': 'agent-read',
          'x-warder-agent': 'triage-bot',
        })
      },
    )

    test('is not doubled by one that many servers read as the same', async () => {
      const headers = { x_agent_purpose: 'forged', 'x_agent-purpose': 'forged' }
      const answer = await scene?.ask('triage-bot', 'alice', { path: '/repos/7', headers })
      expect(answer?.status).toBe(200)
      expect(JSON.stringify(scene?.upstream.last())).not.toContain('forged')
    })
  })
}
