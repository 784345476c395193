import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Value, ValueRecord } from '#model/value.ts'
import { emptyRecord, scalarJson } from '#policy/engine/cedar-json.ts'
import type { Difference } from './capture.ts'

/** Keeps a difference for whoever looks into it; gives the file, or undefined when there are enough of them. */
export type KeepCase = (difference: Difference) => Promise<string | undefined>

/** The first cases tell what is wrong; more of them only fill the disk. */
const FILES_MAX = 20

/**
 * Keeps cases as files under `folder`, readable by this user alone: they hold the values of a request, which may be secret.
 * The folder is made when the first one comes.
 */
export function createKeepCase(folder: string, now: () => number): KeepCase {
  let queue: Promise<unknown> = Promise.resolve()
  const keep: KeepCase = async (difference) => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const kept = await readdir(folder)
    if (kept.length >= FILES_MAX) return undefined
    const file = join(folder, `${now()}-${kept.length}.json`)
    await writeFile(file, caseText(difference), { mode: 0o600, flag: 'wx' })
    return file
  }
  return (difference) => {
    const kept = queue.then(() => keep(difference))
    // One after the other, so that they are counted; a failed one does not stop the next.
    queue = kept.catch(() => undefined)
    return kept
  }
}

function caseText({ query, ...rest }: Difference): string {
  const { entities, context, ...request } = query
  const content = {
    ...rest,
    request: { ...request, context: recordJson(context) },
    entities: entities.map(({ uid, attrs, tags, ancestors }) => ({
      uid,
      attrs: recordJson(attrs),
      tags: recordJson(tags),
      parents: ancestors,
    })),
  }
  return `${JSON.stringify(content, undefined, 2)}\n`
}

function recordJson(fields: ValueRecord): CedarValueJson {
  const record = emptyRecord()
  for (const [name, value] of fields) record[name] = valueJson(value)
  return record
}

function valueJson(value: Value): CedarValueJson {
  if (typeof value !== 'object') return value
  if (value.kind === 'set') return value.elements.map(valueJson)
  return value.kind === 'record' ? recordJson(value.fields) : scalarJson(value)
}
