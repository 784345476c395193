import { inject } from 'vitest'
import { nginxStarter } from './gateway-process.ts'
import { mustDeny } from './must-deny.ts'

mustDeny({ name: 'nginx (auth_request)', sendsBodies: false }, () => nginxStarter(inject('nginx')))
