import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { TENANT } from './demo.ts'
import { gatewayContract } from './gateway.contract.ts'
import type { RunningGateway } from './gateway-process.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { send } from './http.ts'
import { kongPdkStarter } from './kong-process.ts'
import { mustDeny } from './must-deny.ts'
import { describeFound, findNginxLua } from './optional-binaries.ts'
import { openScene, type Scene } from './scene.ts'

const lua = await findNginxLua()

describeFound('the Kong plugin', lua, (modules) => {
  const start = () => kongPdkStarter(inject('nginx'), modules)
  gatewayContract('in nginx with LuaJIT', start)
  mustDeny({ name: 'Kong plugin (in nginx)', sendsBodies: true }, start)
  headerTricks(start)

  describe('registered as one that may assert identity', () => {
    let scene: Scene | undefined
    let asserting: RunningGateway | undefined
    beforeAll(async () => {
      scene = await openScene(start())
      asserting = await scene.addGateway('asserting', '--assert', 'identity')
    })
    afterAll(async () => await scene?.close())

    test.each([
      { 'x-warder-agent': 'triage-bot', 'x-warder-user': 'alice' },
      { 'X-Warder-Agent': 'triage-bot', 'X-Warder-User': 'alice', x_warder_agent: 'other' },
      { 'x-warder-subject': 'Warder::User::alice', 'x-warder-tenant': TENANT },
    ])('a client that names itself %o is nobody', async (headers) => {
      scene?.upstream.forget()
      const answer = await send(asserting?.port ?? 0, { path: '/repos', headers })
      expect(answer.status).toBe(403)
      expect(answer.body).toContain('request.header_conflict')
      expect(scene?.upstream.received).toEqual([])
    })

    test('a token is believed as ever, so that a deny means something', async () => {
      const authorization = `Bearer ${await scene?.issuer.token('triage-bot', 'alice')}`
      const answer = await send(asserting?.port ?? 0, { path: '/repos', headers: { authorization } })
      expect(answer.status).toBe(200)
    })
  })
})
