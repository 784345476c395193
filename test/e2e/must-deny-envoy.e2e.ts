import { inject } from 'vitest'
import { envoyStarter } from './gateway-process.ts'
import { mustDeny } from './must-deny.ts'

mustDeny({ name: 'Envoy (HTTP)', sendsBodies: false }, () => envoyStarter(inject('envoy')))
