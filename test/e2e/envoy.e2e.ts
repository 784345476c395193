import { inject } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { envoyStarter } from './gateway-process.ts'

gatewayContract('Envoy ext_authz over HTTP', () => envoyStarter(inject('envoy')))
