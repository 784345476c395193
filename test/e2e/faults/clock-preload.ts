import { readFileSync } from 'node:fs'

// Runs in the server before anything else (`--import`): SIGUSR2 sets the wall clock to what the file named by
// WARDER_TEST_CLOCK says, in milliseconds before or after the real time. The monotonic clock stays as it is.

const RealDate = Date
const file = process.env['WARDER_TEST_CLOCK'] ?? ''
let shift = 0

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + shift] : args, newTarget),
  get: (target, name) => (name === 'now' ? () => RealDate.now() + shift : Reflect.get(target, name)),
})

process.on('SIGUSR2', () => {
  shift = Number(readFileSync(file, 'utf8'))
})
