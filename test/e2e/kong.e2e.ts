import { describe, inject } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { kongPdkStarter } from './kong-process.ts'
import { mustDeny } from './must-deny.ts'
import { findNginxLua } from './optional-binaries.ts'

const lua = await findNginxLua()

describe.runIf('found' in lua)('the Kong plugin', () => {
  const start = () => kongPdkStarter(inject('nginx'), 'found' in lua ? lua.found : '')
  gatewayContract('in nginx with LuaJIT', start)
  mustDeny({ name: 'Kong plugin (in nginx)', sendsBodies: true }, start)
  headerTricks(start)
})
