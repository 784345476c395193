import { createServer, type IncomingMessage } from 'node:http'

/** An answer of a decision point, as the test wants it. */
export interface ScriptedAnswer {
  readonly status: number
  /** Name, value, name, value: repeats are possible. */
  readonly headers: readonly string[]
  readonly body?: string
}

/** A question as it arrived. */
export interface Question {
  readonly method: string
  readonly url: string
  /** Every header in order, names in lower case. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

/** A decision point that says what it is told to say: for answers that Warder itself never gives. */
export interface ScriptedPdp {
  readonly port: number
  answer: ScriptedAnswer
  readonly questions: readonly Question[]
  /** The newest question. @throws when there was none */
  last(): Question
  forget(): void
  close(): Promise<void>
}

/** The headers of a plain allow. */
export const ALLOW: Readonly<Record<string, string>> = {
  'x-decision-id': '019a0000-0000-7000-8000-000000000001',
  'x-warder-agent': 'triage-bot',
  'x-warder-user': 'alice',
  'x-warder-tenant': 'demo',
  'x-warder-obligations': 'none',
  'x-warder-authorization': 'keep',
  'x-warder-reason': 'policy.permit',
}

/** An allow with some headers changed; undefined leaves one out. */
export function allowWith(changed: Readonly<Record<string, string | undefined>> = {}): ScriptedAnswer {
  const headers = Object.entries({ ...ALLOW, ...changed }).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  )
  return { status: 200, headers }
}

/** Starts one on a free port. */
export async function startScriptedPdp(): Promise<ScriptedPdp> {
  const questions: Question[] = []
  const server = createServer((incoming, outgoing) => {
    void bodyOf(incoming).then((body) => {
      const headers = pairsOf(incoming.rawHeaders)
      questions.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers, body })
      const { status, headers: answered, body: text = '' } = pdp.answer
      outgoing.writeHead(status, [...answered, 'content-length', String(Buffer.byteLength(text))])
      outgoing.end(text)
    })
  })
  server.maxHeadersCount = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  const pdp: ScriptedPdp = {
    port: address.port,
    answer: allowWith(),
    questions,
    last() {
      const last = questions.at(-1)
      if (last === undefined) throw new Error('there was no question')
      return last
    },
    forget() {
      questions.length = 0
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return pdp
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function pairsOf(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    pairs.push([(rawHeaders[i] ?? '').toLowerCase(), rawHeaders[i + 1] ?? ''])
  return pairs
}
