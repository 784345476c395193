import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { haproxyStarter } from './caddy-haproxy-process.ts'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { send } from './http.ts'
import { mustDeny } from './must-deny.ts'
import { describeFound, findOptional } from './optional-binaries.ts'
import { startUpstream } from './upstream.ts'

const haproxy = await findOptional('haproxy', 'haproxy')

describeFound('HAProxy', haproxy, (program) => {
  const start = () => haproxyStarter(program)
  gatewayContract('HAProxy', start)
  mustDeny({ name: 'HAProxy (Lua)', sendsBodies: true }, start)
  headerTricks(start)

  test.each([
    ['fails', 'error("broken")'],
    ['does nothing', ''],
  ])('a script that %s lets nothing pass', async (_what, body) => {
    const folder = mkdtempSync(join(tmpdir(), 'warder-lua-'))
    const upstream = await startUpstream()
    try {
      const lua = join(folder, 'broken.lua')
      writeFileSync(lua, `core.register_action("warder", { "http-req" }, function() ${body} end, 2)`)
      const place = { key: 'k', decisionPort: 1, extAuthzPort: 1, upstreamPort: upstream.port }
      const gateway = await haproxyStarter('found' in haproxy ? haproxy.found : '', lua)(place)
      const answer = await send(gateway.port, { path: '/repos' })
      await gateway.stop()
      expect(answer).toMatchObject({ status: 503, body: '{"error":"authorizer_unavailable"}' })
      expect(upstream.received).toEqual([])
    } finally {
      await upstream.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
