import { hash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createAnswerSsf } from '#http/ssf.ts'
import type { Receiver } from '#signals/outgoing.ts'
import type { Transmitter } from '#signals/transmitter.ts'
import { newTenant } from '../support/store-samples.ts'

const key = (letter: string) => `wrk_${letter.repeat(43)}`
const RECEIVER: Receiver = {
  ...{ id: 'r', keyHash: hash('sha256', key('a')), tenant: newTenant(), name: 'siem', kind: 'caep' },
  ...{ audience: 'us', privateNetwork: false, origin: undefined, stream: undefined },
}
const unused = (): never => {
  throw new Error('not asked for')
}

test('guessed credentials wait for two look-ups at most, and keep no receiver that was here from its own', async () => {
  const held: (() => void)[] = []
  let reached: () => void = () => undefined
  const twoAreHeld = new Promise<void>((resolve) => {
    reached = resolve
  })
  const transmitter: Transmitter = {
    configurationAt: () => undefined,
    find: (keyHash) => {
      if (keyHash === RECEIVER.keyHash) return Promise.resolve(RECEIVER)
      return new Promise((resolve) => {
        held.push(() => resolve(undefined))
        if (held.length === 2) reached()
      })
    },
    streams: {
      ...{ describe: unused, create: unused, change: unused, remove: unused },
      ...{ describeStatus: unused, setStatus: unused, verify: unused },
    },
    poll: unused,
  }
  const ssf = createAnswerSsf(transmitter, { onUnauthenticated: () => undefined, onFault: unused })
  const server = createServer((incoming, outgoing) => void ssf.answer(incoming, outgoing, incoming.url ?? ''))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ssf/stream`
  const ask = async (credential: string): Promise<number> =>
    (await fetch(url, { headers: { authorization: `Bearer ${credential}` } })).status
  expect(await ask(key('a'))).toBe(200)
  const guesses = [ask(key('b')), ask(key('c'))]
  await twoAreHeld
  expect(await ask(key('d'))).toBe(503)
  expect(await ask(key('a'))).toBe(200)
  for (const release of held) release()
  expect(await Promise.all(guesses)).toEqual([401, 401])
  server.close()
  server.closeAllConnections()
})
