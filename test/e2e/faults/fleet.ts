import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** What one request came to. */
export interface Outcome {
  /** `allow`, the reason code of a refusal, or `error:CODE` when no answer came. */
  readonly kind: string
  /** Undefined where nothing was decided. */
  readonly decisionId: string | undefined
  /** `performance.now()` of the answer. */
  readonly at: number
  readonly milliseconds: number
}

/** Clients that ask again as soon as they have their answer. */
export interface Fleet {
  readonly outcomes: readonly Outcome[]
  /** Lets every client finish its last request. */
  stop(): Promise<void>
}

/** What is asked, and by which gateway. */
export interface Question {
  readonly key: string
  readonly body: object
}

/** How clients behave. */
export interface FleetOptions {
  readonly ports: () => readonly number[]
  readonly question: () => Question
  readonly clients: number
  /** Pause after each answer. Default 0. */
  readonly pauseMilliseconds?: number
  /** What a client does without an answer: end, go on, or ask the next port once more, as a gateway with two upstreams does. */
  readonly onError: 'end' | 'go on' | 'ask another'
}

const TIMEOUT_MILLISECONDS = 20_000
const PAUSE_AFTER_ERROR_MILLISECONDS = 20

/** Starts clients on kept connections, one each. */
export function startFleet(options: FleetOptions): Fleet {
  const outcomes: Outcome[] = []
  const stopped = new AbortController()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const client = async (number: number) => {
    while (!stopped.signal.aborted) {
      const outcome = await askOneOf(options, agent, number)
      outcomes.push(outcome)
      if (outcome.kind.startsWith('error:')) {
        if (options.onError === 'end') return
        await sleep(PAUSE_AFTER_ERROR_MILLISECONDS)
      }
      if (options.pauseMilliseconds !== undefined) await sleep(options.pauseMilliseconds)
    }
  }
  const clients = Promise.all(Array.from({ length: options.clients }, (_, number) => client(number)))
  return {
    outcomes,
    async stop() {
      stopped.abort()
      await clients
      agent.destroy()
    },
  }
}

/** How often each kind came, for messages and figures. */
export function countKinds(outcomes: readonly Outcome[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { kind } of outcomes) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** Every kind that came. */
export function kindsOf(outcomes: readonly Outcome[]): ReadonlySet<string> {
  return new Set(outcomes.map(({ kind }) => kind))
}

async function askOneOf(options: FleetOptions, agent: Agent, number: number): Promise<Outcome> {
  const ports = options.ports()
  const first = ports[number % ports.length] ?? 0
  const outcome = await ask(first, agent, options.question())
  if (!outcome.kind.startsWith('error:') || options.onError !== 'ask another') return outcome
  const other = ports.find((port) => port !== first) ?? first
  return await ask(other, agent, options.question())
}

/** One question on the native path. Never rejects. */
export function ask(port: number, agent: Agent | false, question: Question): Promise<Outcome> {
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const end = (kind: string, decisionId?: string) => {
      const at = performance.now()
      resolve({ kind, decisionId, at, milliseconds: at - startedAt })
    }
    const fail = (error: NodeJS.ErrnoException) => end(`error:${error.code}`)
    const body = JSON.stringify(question.body)
    const headers = {
      authorization: `Bearer ${question.key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const target = { host: '127.0.0.1', port, method: 'POST', path: '/v1/decide', headers, agent }
    const outgoing = request(target, (incoming) => {
      let text = ''
      incoming.on('error', fail)
      incoming.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      incoming.on('end', () => {
        const answer = parseAnswer(text)
        end(kindOf(answer, incoming.statusCode), answer.decision_id)
      })
    })
    outgoing.setTimeout(TIMEOUT_MILLISECONDS, () =>
      outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
    )
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

interface Answered {
  readonly decision?: string
  readonly decision_id?: string
  readonly reasons?: readonly { readonly code: string }[]
  readonly error?: { readonly code: string }
}

function parseAnswer(text: string): Answered {
  try {
    return JSON.parse(text) as Answered
  } catch {
    return {}
  }
}

function kindOf(answer: Answered, status: number | undefined): string {
  if (status === 200 && answer.decision === 'allow') return 'allow'
  return answer.error?.code ?? answer.reasons?.[0]?.code ?? `status ${status}`
}
