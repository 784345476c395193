import { recordOf } from './answer.ts'

/** Follows the revocations of the gateway's tenant. */
export interface Follower {
  /** Whether the connection stands and everything up to now was heard. */
  isCurrent(): boolean
  close(): void
}

interface Source {
  readonly url: string
  readonly gatewayKey: string
}

const RECONNECT_MILLISECONDS = 250
/** Warder says something every 10 seconds. */
const SILENCE_MILLISECONDS = 15_000
const LINE_LENGTH_MAX = 1_048_576

/**
 * Reads `/v1/revocations/stream`, over and over. `onChange` is called for each change of the tenant's state, and when the
 * connection is lost, since nothing can be known from then on. What was kept is gone then, so a new connection begins anew
 * and resumes nothing.
 */
export function createFollower(source: Source, onChange: () => void): Follower {
  const stop = new AbortController()
  const state: State = { isCurrent: false }
  const run = async () => {
    while (!stop.signal.aborted) {
      await listen(source, state, onChange, stop.signal).catch(() => undefined)
      if (state.isCurrent) onChange()
      state.isCurrent = false
      await pause(RECONNECT_MILLISECONDS, stop.signal)
    }
  }
  void run()
  return {
    isCurrent: () => state.isCurrent,
    close() {
      state.isCurrent = false
      stop.abort()
    },
  }
}

interface State {
  isCurrent: boolean
}

async function listen(source: Source, state: State, onChange: () => void, stop: AbortSignal): Promise<void> {
  const silence = new AbortController()
  const headers = { authorization: `Bearer ${source.gatewayKey}`, accept: 'text/event-stream' }
  let timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS)
  try {
    const signal = AbortSignal.any([stop, silence.signal])
    const response = await fetch(`${source.url}/v1/revocations/stream`, {
      headers,
      redirect: 'error',
      signal,
    })
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
    if (response.status !== 200 || !isStream || response.body === null) return
    let known: number | undefined
    const read = createReader(({ event, seq }) => {
      const isNews = event === 'revoked' || (known !== undefined && known !== seq)
      known = seq
      if (isNews) onChange()
      state.isCurrent = !stop.aborted
    })
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS)
      read(chunk)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** An event with the state version that it tells. */
interface Told {
  readonly event: string
  readonly seq: number
}

/**
 * Reads server-sent events piece by piece.
 *
 * @throws for a line of more than 1 MiB and for an event without a version: then the stream is none of Warder's
 */
function createReader(onEvent: (told: Told) => void): (chunk: string) => void {
  let rest = ''
  let [event, data] = ['', '']
  const readLine = (line: string) => {
    if (line.startsWith('event:')) event = line.slice(6).trim()
    else if (line.startsWith('data:')) data += line.slice(5)
    else if (line === '' && data !== '') {
      const { seq } = recordOf(JSON.parse(data)) ?? {}
      if (typeof seq !== 'number') throw new TypeError('an event without a state version')
      onEvent({ event, seq })
      ;[event, data] = ['', '']
    }
  }
  return (chunk) => {
    const lines = (rest + chunk).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > LINE_LENGTH_MAX) throw new RangeError('an endless line')
    for (const line of lines) readLine(line)
  }
}

function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    stop.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
