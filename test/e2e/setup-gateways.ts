import { findEnvoy, findNginx } from './binaries.ts'
import { findNjs } from './nginx-njs.ts'
import { findNginxLua, findOptional } from './optional-binaries.ts'

// npm run setup:gateways: brings the real gateways that `npm run test:gateways` runs. Envoy and nginx must be there, and the command
// fails without them; of the others it says which ones are left out.

const needed = [
  ['Envoy', findEnvoy],
  ['nginx', findNginx],
] as const
for (const [name, find] of needed) process.stdout.write(`${name}: ${await find()}\n`)

const optional = [
  ['nginx with njs', findNjs],
  ['nginx with Lua', findNginxLua],
  ['Caddy', () => findOptional('caddy', 'caddy')],
  ['HAProxy', () => findOptional('haproxy', 'haproxy')],
] as const
for (const [name, find] of optional) {
  const found = await find()
  process.stdout.write(`${name}: ${'found' in found ? found.found : `skipped, ${found.missing}`}\n`)
}
