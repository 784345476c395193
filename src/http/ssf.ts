import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WireResponse } from '#gateways/wire.ts'
import type { Receiver } from '#signals/outgoing.ts'
import { UNAUTHENTICATED } from '#signals/refusal.ts'
import { SSF_PATHS, type Transmitter } from '#signals/transmitter.ts'
import { createRoom } from './room.ts'
import { send } from './send.ts'
import { type Outcome, refusalResponse, SSF_ROUTES, type SsfRoute, toResponse } from './ssf-routes.ts'

/** Answers receivers of our events; false for a path that is none of theirs. */
export interface AnswerSsf {
  answer(incoming: IncomingMessage, outgoing: ServerResponse, path: string): boolean
  /** Lets polls go that are held. */
  close(): void
}

/** Credentials that are looked up at once. */
const PROVING_MAX = 16
/** Of credentials that were not good here lately, so that guesses take no connection from those that were. */
const PROVING_UNKNOWN_MAX = 2
const KNOWN_MAX = 1_000
const IN_FLIGHT_MAX = 96
/** One receiver is as busy as that at most, so that it can't keep the others from being served. */
const IN_FLIGHT_OF_RECEIVER_MAX = 4
/** Polls that wait. One that finds no place is answered at once. */
const HELD_MAX = 64
const HELD_OF_RECEIVER_MAX = 2
const HELD_MILLISECONDS = 20_000
const LOOK_MILLISECONDS = 1_000
const KEY = /^bearer +(wrk_[A-Za-z0-9_-]{43})$/i

/** The routes of receivers: poll delivery (RFC 8936) and stream management (SSF 8.1). */
export function createAnswerSsf(
  transmitter: Transmitter,
  { onUnauthenticated, onFault }: { readonly onUnauthenticated: () => void; readonly onFault: () => void },
): AnswerSsf {
  const closing = new AbortController()
  const [inFlight, held] = [
    createRoom(IN_FLIGHT_MAX, IN_FLIGHT_OF_RECEIVER_MAX),
    createRoom(HELD_MAX, HELD_OF_RECEIVER_MAX),
  ]
  const prove = createProve(transmitter)

  /** Proves the receiver, then does what it asks for. */
  async function outcomeOf(incoming: IncomingMessage, gone: AbortSignal, route: SsfRoute): Promise<Outcome> {
    const key = keyOf(incoming.rawHeaders)
    const keyHash = key === undefined ? undefined : hash('sha256', key)
    const receiver = keyHash === undefined ? undefined : await prove(keyHash)
    if (receiver === 'later') return LATER
    if (keyHash === undefined || receiver === undefined) {
      onUnauthenticated()
      return refusalResponse(UNAUTHENTICATED)
    }
    const leave = inFlight.enter(receiver.id)
    if (leave === undefined) return TOO_MANY
    const wait = createWait(receiver.id, AbortSignal.any([gone, closing.signal]))
    try {
      return await route({ incoming, transmitter, receiver, wait: wait.again })
    } finally {
      wait.end()
      leave()
    }
  }

  /** A poll that waits: it has a place of its own for so long, or does not wait at all. */
  function createWait(id: string, signal: AbortSignal) {
    const until = performance.now() + HELD_MILLISECONDS
    let leave: (() => void) | undefined
    return {
      again: async (): Promise<boolean> => {
        leave ??= held.enter(id)
        if (leave === undefined || performance.now() >= until || signal.aborted) return false
        return await sleep(LOOK_MILLISECONDS, true, { signal }).catch(() => false)
      },
      end: (): void => leave?.(),
    }
  }

  async function respond(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    route: SsfRoute,
  ): Promise<void> {
    const gone = new AbortController()
    outgoing.once('close', () => gone.abort())
    const outcome = await outcomeOf(incoming, gone.signal, route).catch(() => {
      onFault()
      return LATER
    })
    if (outcome !== 'aborted') send(incoming, outgoing, outcome)
  }

  /** Public; it holds nothing that the path does not. */
  function answerConfiguration(incoming: IncomingMessage, outgoing: ServerResponse, path: string): boolean {
    const found = transmitter.configurationAt(path)
    if (found === undefined) return false
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD'
    send(incoming, outgoing, isRead ? toResponse(200, found, CACHED) : toResponse(405, undefined, READ_ONLY))
    return true
  }

  return {
    answer(incoming, outgoing, path) {
      const methods = methodsOf(path)
      if (methods === undefined) return answerConfiguration(incoming, outgoing, path)
      const route = methods.get(incoming.method ?? '')
      if (route !== undefined) void respond(incoming, outgoing, route)
      else send(incoming, outgoing, toResponse(405, undefined, [['allow', [...methods.keys()].join(', ')]]))
      return true
    },
    close: () => closing.abort(),
  }
}

/** Looks a credential up, unless too many are being looked up. */
function createProve(transmitter: Transmitter): (keyHash: string) => Promise<Receiver | undefined | 'later'> {
  const proving = { known: 0, unknown: 0 }
  const known = new Set<string>()
  return async (keyHash) => {
    const kind = known.has(keyHash) ? 'known' : 'unknown'
    if (proving[kind] >= (kind === 'known' ? PROVING_MAX : PROVING_UNKNOWN_MAX)) return 'later'
    proving[kind]++
    const receiver = await transmitter.find(keyHash).finally(() => proving[kind]--)
    known.delete(keyHash)
    if (receiver !== undefined) known.add(keyHash)
    for (const oldest of known) {
      if (known.size <= KNOWN_MAX) break
      known.delete(oldest)
    }
    return receiver
  }
}

/** Undefined: nobody's path. */
function methodsOf(path: string): ReadonlyMap<string, SsfRoute> | undefined {
  return SSF_ROUTES.get(path.startsWith(SSF_PATHS.poll) ? SSF_PATHS.poll : path)
}

/** INVARIANT: a request with two `Authorization` headers proves nothing. */
function keyOf(rawHeaders: readonly string[]): string | undefined {
  const values = rawHeaders.filter(
    (_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'authorization',
  )
  return values.length === 1 ? KEY.exec(values[0] ?? '')?.[1] : undefined
}

const CACHED = [['cache-control', 'public, max-age=3600']] as const
const READ_ONLY = [['allow', 'GET, HEAD']] as const
const LATER = toResponse(503, undefined, [['retry-after', '1']])
const TOO_MANY: WireResponse = toResponse(
  429,
  { err: 'http.overloaded', description: 'too many requests of this receiver are in flight; try again' },
  [['retry-after', '1']],
)
