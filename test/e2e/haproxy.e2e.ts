import { describe } from 'vitest'
import { haproxyStarter } from './caddy-haproxy-process.ts'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { mustDeny } from './must-deny.ts'
import { findOptional } from './optional-binaries.ts'

const haproxy = await findOptional('haproxy', 'haproxy')

describe.runIf('found' in haproxy)('HAProxy', () => {
  const start = () => haproxyStarter('found' in haproxy ? haproxy.found : '')
  gatewayContract('HAProxy', start)
  mustDeny({ name: 'HAProxy (Lua)', sendsBodies: true }, start)
  headerTricks(start)
})
