import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSealing } from '#admin/sealing.ts'
import { addStream } from '#admin/signals.ts'
import { createAnswerPush, SIGNALS_PREFIX } from '#http/signals.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import { checkDue, type DueCheck } from '#signals/check-due.ts'
import { createPollStream } from '#signals/poll.ts'
import { pollDue } from '#signals/poll-due.ts'
import { createReceiveSet } from '#signals/receive.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient } from '#signals/transmitter-client.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createCheckQueue, createQuestions } from '#store/managed-streams.ts'
import { createPollQueue } from '#store/polls.ts'
import { createSignalAdminStore, createSignalStore } from '#store/signals.ts'
import { openManagementSecret, openPollSecret } from '#store/stream-secrets.ts'
import type { TestDatabase } from '../support/database.ts'
import { startSsfTransmitter } from '../support/ssf-transmitter.ts'
import { newTenant } from '../support/store-samples.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const sealing = createSealing([new Uint8Array(32).fill(5)])
const openSealing = async () => sealing

/** A tenant of `db`, a transmitter, and this installation's push endpoint; closing removes the stream `idp`. */
export async function openSetupWorld(db: TestDatabase, path = '') {
  const transmitter = await startSsfTransmitter(path)
  const tenant = newTenant()
  await createAdminStore(db, ACTOR).addTenant(tenant)
  const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
  const push = await startPushEndpoint(db, keys)
  const tokens = createTransmitterTokens(sendOutbound, systemClock)
  const client = createTransmitterClient(sendOutbound, tokens)
  const store = createSignalAdminStore(db, ACTOR, openSealing)
  const parts = { store, client }
  const faults: string[] = []
  const onFault = (_: string, cause: string) => faults.push(cause)
  const poll = createPollStream({
    send: sendOutbound,
    tokens,
    store: createSignalStore(db),
    keys,
    clock: systemClock,
  })
  return {
    tenant,
    transmitter,
    parts,
    faults,
    pushTo: push.origin,
    file: (changes: object = {}, access: object = {}) =>
      JSON.stringify({
        issuer: transmitter.issuer,
        private_network: true,
        transmitter: { secret: 'management-token', ...access },
        ...changes,
      }),
    add: (text: string) => addStream(parts, { tenant, name: 'idp', text }),
    listed: async () => {
      const [row] = await store.listStreams(tenant, { limit: 1 })
      if (row === undefined) throw new Error('no stream')
      return row
    },
    /** What servers do with streams that are due. */
    polled: () =>
      pollDue(
        { queue: createPollQueue(db), poll, openSecret: openPollSecret(openSealing), onFault },
        new AbortController().signal,
      ),
    checked: (underWay = new Set<DueCheck>()) =>
      checkDue(
        {
          client,
          queue: createCheckQueue(db),
          questions: createQuestions(db),
          openSecret: openManagementSecret(openSealing),
          onFault,
        },
        underWay,
      ),
    close: async () => {
      await store.removeStream(tenant, 'idp')
      keys.close()
      await Promise.all([transmitter.close(), push.close()])
    },
  }
}

/** One of them. */
export type SetupWorld = Awaited<ReturnType<typeof openSetupWorld>>

async function startPushEndpoint(db: TestDatabase, keys: Parameters<typeof createReceiveSet>[0]['keys']) {
  const receive = createReceiveSet({ store: createSignalStore(db), keys, clock: systemClock })
  const answer = createAnswerPush(receive)
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? ''
    if (path.startsWith(SIGNALS_PREFIX)) void answer(incoming, outgoing, path)
    else outgoing.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
