import { inject } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { nginxStarter } from './gateway-process.ts'

gatewayContract('nginx auth_request', () => nginxStarter(inject('nginx')))
