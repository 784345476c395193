import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MetricSamples, metricsText } from '#http/metrics.ts'
import type { ProcessLog } from '#process/log.ts'
import { type FromFront, isMessage, type ToFront } from '#process/worker-channel.ts'
import type { Addresses } from './listeners.ts'

/** The processes that decide, as the process that keeps them sees them. */
export interface Fronts {
  /** Where gateways reach them; the same for all. */
  readonly addresses: Pick<Addresses, 'decisions' | 'extAuthz'>
  /** How many answer now, of how many. */
  serving(): { readonly now: number; readonly wanted: number }
  /** Tells all that the database may have changed. */
  changed(): void
  /** Metrics of all of them and of this process, in the Prometheus text format; each sample names its process. */
  metrics(own: MetricSamples): Promise<string>
  reload(): void
  /** Replaces one after the other; each new one answers before an old one drains. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** For so long a front may start; an embedded database was started by then. */
const START_MILLISECONDS = 60_000
const MEASURE_MILLISECONDS = 1_000
const CRASH_PAUSE_MILLISECONDS = 250
const CRASH_PAUSE_MILLISECONDS_MAX = 10_000
/** Who lived so long did not crash at once. */
const HEALTHY_MILLISECONDS = 30_000

interface Front {
  readonly worker: Worker
  addresses: Addresses | undefined
  isEnding: boolean
}

/**
 * Starts `count` processes that share the listeners for decisions. One that dies is replaced, after a growing pause when it
 * dies again and again.
 *
 * @param graceMilliseconds how long a front may drain before it is ended
 * @throws when the first of them can't start
 */
export async function startFronts(
  count: number,
  graceMilliseconds: number,
  logger: ProcessLog,
): Promise<Fronts> {
  const pool = new Pool(count, graceMilliseconds, logger)
  return await pool.start()
}

class Pool implements Fronts {
  readonly #count: number
  readonly #graceMilliseconds: number
  readonly #logger: ProcessLog
  readonly #fronts = new Map<number, Front>()
  readonly #answers = new Map<number, (worker: number, samples: MetricSamples) => void>()
  #question = 0
  #crashes = 0
  #isClosing = false
  #addresses: Addresses | undefined

  constructor(count: number, graceMilliseconds: number, logger: ProcessLog) {
    this.#count = count
    this.#graceMilliseconds = graceMilliseconds
    this.#logger = logger
  }

  async start(): Promise<Fronts> {
    try {
      await Promise.all(Array.from({ length: this.#count }, () => this.#fork()))
    } catch (error) {
      await this.close()
      throw error
    }
    return this
  }

  get addresses(): Addresses {
    if (this.#addresses === undefined) throw new Error('no front serves yet')
    return this.#addresses
  }

  serving(): { readonly now: number; readonly wanted: number } {
    const now = [...this.#fronts.values()].filter(({ addresses, isEnding }) => addresses && !isEnding)
    return { now: now.length, wanted: this.#count }
  }

  changed(): void {
    this.#tellAll({ kind: 'changed' })
  }

  reload(): void {
    this.#tellAll({ kind: 'reload' })
  }

  async metrics(own: MetricSamples): Promise<string> {
    const question = ++this.#question
    const asked = [...this.#fronts.values()].filter(({ addresses }) => addresses !== undefined)
    const found = new Map<number, MetricSamples>()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, MEASURE_MILLISECONDS)
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#answers.set(question, (worker, samples) => {
        found.set(worker, samples)
        if (found.size >= asked.length) done()
      })
      if (asked.length === 0) done()
      for (const { worker } of asked) tell(worker, { kind: 'measure', question })
    })
    this.#answers.delete(question)
    return await metricsText([own, ...found.values()])
  }

  async restart(): Promise<void> {
    for (const old of [...this.#fronts.values()]) {
      if (this.#isClosing || old.isEnding) continue
      await this.#fork()
      await this.#end(old)
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    await Promise.all([...this.#fronts.values()].map((front) => this.#end(front)))
  }

  /** Starts a front and waits until it serves. */
  async #fork(): Promise<void> {
    const worker = cluster.fork()
    const front: Front = { worker, addresses: undefined, isEnding: false }
    const startedAt = performance.now()
    this.#fronts.set(worker.id, front)
    worker.on('error', (error) =>
      this.#logger.error({ worker: worker.id, fault: error.message }, 'a worker failed'),
    )
    worker.on('exit', (code, signal) => {
      this.#fronts.delete(worker.id)
      if (!front.isEnding && !this.#isClosing && front.addresses !== undefined)
        void this.#replace(worker.id, signal ?? String(code), performance.now() - startedAt)
    })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        worker.process.kill('SIGKILL')
        reject(new Error(`a worker did not serve within ${START_MILLISECONDS} ms`))
      }, START_MILLISECONDS)
      worker.once('exit', () => {
        clearTimeout(timer)
        reject(new Error('a worker ended before it served; its own lines say why'))
      })
      worker.on('message', (message: FromFront) => {
        if (!isMessage(message)) return
        if (message.kind === 'measured') this.#answers.get(message.question)?.(worker.id, message.samples)
        else if (message.kind === 'serving') {
          clearTimeout(timer)
          front.addresses = message.addresses
          this.#addresses ??= message.addresses
          resolve()
        }
      })
    })
  }

  async #replace(id: number, cause: string, livedMilliseconds: number): Promise<void> {
    this.#crashes = livedMilliseconds > HEALTHY_MILLISECONDS ? 0 : this.#crashes + 1
    this.#logger.error({ worker: id, cause }, 'a worker died; it is replaced')
    while (!this.#isClosing) {
      const pause = CRASH_PAUSE_MILLISECONDS * 2 ** Math.max(0, this.#crashes - 1)
      if (this.#crashes > 0)
        await sleep(Math.min(pause, CRASH_PAUSE_MILLISECONDS_MAX), undefined, { ref: false })
      try {
        if (!this.#isClosing) await this.#fork()
        return
      } catch (error) {
        this.#crashes += 1
        this.#logger.error(
          { fault: error instanceof Error ? error.message : '' },
          'a worker could not be replaced',
        )
      }
    }
  }

  async #end(front: Front): Promise<void> {
    front.isEnding = true
    const { worker } = front
    if (worker.isDead()) return
    await new Promise<void>((resolve) => {
      // Its own grace comes first; this is for one that does not even drain.
      const timer = setTimeout(() => worker.process.kill('SIGKILL'), this.#graceMilliseconds + 5_000)
      worker.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      tell(worker, { kind: 'drain' })
    })
  }

  #tellAll(message: ToFront): void {
    for (const { worker, addresses } of this.#fronts.values())
      if (addresses !== undefined) tell(worker, message)
  }
}

function tell(worker: Worker, message: ToFront): void {
  if (worker.isConnected()) worker.send(message)
}
