import { inject } from 'vitest'
import { envoyStarter } from './gateway-process.ts'
import { mustDeny } from './must-deny.ts'

mustDeny({ name: 'Envoy (HTTP)', sendsBodies: false }, () => envoyStarter(inject('envoy')))
mustDeny({ name: 'Envoy (HTTP, with bodies)', sendsBodies: true }, () =>
  envoyStarter(inject('envoy'), 'mcp.yaml'),
)
mustDeny({ name: 'Envoy (gRPC)', sendsBodies: true, inapplicable: [] }, () =>
  envoyStarter(inject('envoy'), 'envoy-grpc.yaml'),
)
