import { inject, test } from 'vitest'
import { gatewayContract } from './gateway.contract.ts'
import { mustDeny } from './must-deny.ts'
import { findNjs, njsStarter } from './nginx-njs.ts'

const njs = await findNjs()

if ('found' in njs) {
  const start = () => njsStarter(inject('nginx'), njs.found)
  gatewayContract('nginx with njs', start)
  mustDeny({ name: 'nginx (njs)', sendsBodies: true }, start)
} else test(`nginx with njs is left out: ${njs.missing}`, () => undefined)
