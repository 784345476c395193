import { inject } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { envoyStarter } from './gateway-process.ts'

gatewayContract('Envoy ext_authz over gRPC', () => envoyStarter(inject('envoy'), 'envoy-grpc.yaml'))
