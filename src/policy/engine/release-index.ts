import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PolicyRecord, Release, ReleaseHeader } from '#model/release.ts'
import { buildScopeIndex } from './scope-index.ts'

/** How long assembling may hold the event loop before it lets waiting requests run. */
const SLICE_MILLISECONDS = 1

/** Records kept as objects; the rest of a release is text, because a large object heap slows every request's GC. */
const RECORDS_KEPT = 1_024

/**
 * Loads a release and indexes it by scope without holding the event loop for more than a few milliseconds.
 *
 * @throws Error when the batches hold more or fewer policies than the header says, or one id twice: half a release must
 * never decide.
 */
export async function assembleRelease(
  header: ReleaseHeader,
  batches: AsyncIterable<readonly PolicyRecord[]>,
): Promise<Release> {
  const index = buildScopeIndex()
  const texts: string[] = []
  const ordinals = new Map<string, number>()
  const upstreamHeaders = new Set<string>()
  const breathe = pacer()
  for await (const batch of batches) {
    for (const record of batch) {
      index.add(record.scope)
      for (const name of headersSetBy(record)) upstreamHeaders.add(name)
      ordinals.set(record.id, texts.length)
      texts.push(JSON.stringify(record))
      await breathe()
    }
  }
  if (texts.length !== header.policyCount) {
    throw new Error(`release ${header.id} has ${header.policyCount} policies, but ${texts.length} were read`)
  }
  if (ordinals.size !== texts.length) throw new Error(`release ${header.id} uses a policy id twice`)
  for (let ordinal = 0; ordinal < texts.length; ordinal += 1) {
    index.file(ordinal)
    await breathe()
  }
  const policy = recordCache(header, texts)
  const find = (id: string): PolicyRecord | undefined => {
    const ordinal = ordinals.get(id)
    return ordinal === undefined ? undefined : policy(ordinal)
  }
  return {
    ...header,
    ...index.finish(),
    policy,
    find,
    upstreamHeaders: [...upstreamHeaders].toSorted(),
  }
}

function headersSetBy({ obligations }: PolicyRecord): readonly string[] {
  return obligations.flatMap(({ type, properties }) =>
    type === 'set_header' ? [String(properties['name']).toLowerCase()] : [],
  )
}

/** Gives the loop a turn whenever the current stretch of work has used its time. */
function pacer(): () => Promise<void> | undefined {
  let startedAt = performance.now()
  return () => {
    if (performance.now() - startedAt < SLICE_MILLISECONDS) return undefined
    return nextTurn().then(() => {
      startedAt = performance.now()
    })
  }
}

function recordCache(header: ReleaseHeader, texts: readonly string[]): (ordinal: number) => PolicyRecord {
  const kept = new Map<number, PolicyRecord>()
  return (ordinal) => {
    const known = kept.get(ordinal)
    if (known !== undefined) return known
    const text = texts[ordinal]
    if (text === undefined) throw new RangeError(`release ${header.id} has no policy ${ordinal}`)
    const record = parseRecord(text)
    const oldest = kept.size >= RECORDS_KEPT ? kept.keys().next().value : undefined
    if (oldest !== undefined) kept.delete(oldest)
    kept.set(ordinal, record)
    return record
  }
}

function parseRecord(text: string): PolicyRecord {
  return JSON.parse(text) as PolicyRecord
}
