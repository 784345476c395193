import { caddyStarter } from './caddy-haproxy-process.ts'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { mustDeny } from './must-deny.ts'
import { describeFound, findOptional } from './optional-binaries.ts'

const caddy = await findOptional('caddy', 'caddy')

describeFound('Caddy', caddy, (program) => {
  const start = () => caddyStarter(program)
  gatewayContract('Caddy', start)
  mustDeny({ name: 'Caddy', sendsBodies: false, streamsBodies: true }, start)
  headerTricks(start)
})
