import { describe } from 'vitest'
import { caddyStarter } from './caddy-haproxy-process.ts'
import { gatewayContract } from './gateway.contract.ts'
import { headerTricks } from './header-tricks.contract.ts'
import { mustDeny } from './must-deny.ts'
import { findOptional } from './optional-binaries.ts'

const caddy = await findOptional('caddy', 'caddy')

describe.runIf('found' in caddy)('Caddy', () => {
  const start = () => caddyStarter('found' in caddy ? caddy.found : '')
  gatewayContract('Caddy', start)
  mustDeny({ name: 'Caddy', sendsBodies: false, streamsBodies: true }, start)
  headerTricks(start)
})
