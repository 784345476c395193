import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseLossless } from './lossless-json.ts'
import { isObject } from './read-values.ts'

/** One request of a test with its expected answer. */
export interface ConformanceRequest {
  readonly description: string
  readonly principal: unknown
  readonly action: unknown
  readonly resource: unknown
  readonly context: object
  readonly validateRequest: boolean
  readonly decision: 'allow' | 'deny'
  readonly reason: readonly string[]
  readonly errors: readonly string[]
}

/** A test of the public integration tests of Cedar, its files read. */
export interface ConformanceTest {
  readonly file: string
  readonly policies: string
  readonly entities: readonly unknown[]
  /** Cedar schema text or JSON; undefined where the test has none. */
  readonly schema: string | object | undefined
  readonly shouldValidate: boolean | undefined
  readonly requests: readonly ConformanceRequest[]
}

/** Paths of every JSON file below `folder` that could be a test, sorted. */
export function testFiles(folder: string): readonly string[] {
  if (statSync(folder).isFile()) return [folder]
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(
      (entry) => entry.isFile() && entry.name.endsWith('.json') && !entry.name.endsWith('.entities.json'),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/** A test, or undefined where the file is none. Names in it are looked up beside it and in the folders above. */
export function readTest(file: string): ConformanceTest | undefined {
  const json = parseLossless(readFileSync(file, 'utf8'))
  if (!isObject(json) || typeof json['policies'] !== 'string' || !Array.isArray(json['requests']))
    return undefined
  const read = (name: unknown): string => readFileSync(locate(file, String(name)), 'utf8')
  const schema = json['schema'] === undefined ? undefined : read(json['schema'])
  const entities = parseLossless(read(json['entities']))
  return {
    file,
    policies: read(json['policies']),
    entities: Array.isArray(entities) ? entities : [],
    schema: schema?.trimStart().startsWith('{"') ? (parseLossless(schema) as object) : schema,
    shouldValidate: typeof json['shouldValidate'] === 'boolean' ? json['shouldValidate'] : undefined,
    requests: json['requests'].filter(isObject).map(readRequest),
  }
}

function readRequest(json: { readonly [key: string]: unknown }): ConformanceRequest {
  return {
    description: String(json['description'] ?? ''),
    principal: json['principal'],
    action: json['action'],
    resource: json['resource'],
    context: isObject(json['context']) ? json['context'] : {},
    validateRequest: json['validateRequest'] !== false,
    decision: String(json['decision']).toLowerCase() === 'allow' ? 'allow' : 'deny',
    reason: textsIn(json['reason']),
    errors: textsIn(json['errors']),
  }
}

function textsIn(json: unknown): readonly string[] {
  return (Array.isArray(json) ? json : []).map(String).toSorted()
}

function locate(file: string, name: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, name))) return join(folder, name)
    if (folder === dirname(folder)) throw new Error(`${file} names ${name}, which is not there`)
  }
}
