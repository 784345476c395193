import { inject } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { kongPdkStarter } from './kong-process.ts'
import { mustDeny } from './must-deny.ts'
import { describeFound, findNginxLua } from './optional-binaries.ts'

const lua = await findNginxLua()

describeFound('the Kong plugin', lua, (modules) => {
  const start = () => kongPdkStarter(inject('nginx'), modules)
  gatewayContract('in nginx with LuaJIT', start)
  mustDeny({ name: 'Kong plugin (in nginx)', sendsBodies: true }, start)
  headerTricks(start)
})
