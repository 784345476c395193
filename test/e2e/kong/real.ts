import { inject } from 'vitest'
import { gatewayContract } from '../gateway.contract.ts'
import { kongStarter } from '../kong-server.ts'

gatewayContract('Kong', () => kongStarter({ url: inject('kongUrl'), adminUrl: inject('kongAdminUrl') }))
