import { scanJson } from '#lib/json-scan.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { StoredEntity } from '#model/registry.ts'
import { type Json, type JsonObject, uidKey } from '#model/value.ts'
import { completeAction, readAction, toolAction } from './action.ts'
import { readEntity } from './entity.ts'
import { checkHierarchy } from './hierarchy.ts'
import { Problems, type RegistryProblem } from './problem.ts'
import { readShorthand, SHORTHAND_SECTIONS } from './shorthand.ts'
import { isObject } from './value.ts'

/** Most characters of one file. */
const TEXT_LENGTH_MAX = 256 * 1024 * 1024
/** Most entities of one file. */
const ENTITIES_MAX = 1_000_000

/** An administrator's file may use Cedar's explicit forms; what they hold is checked value by value. */
const SCAN_LIMITS = {
  depthMax: 64,
  membersMax: 100_000_000,
  reservedKeys: new Set(['__expr', '__proto__']),
}

/** What a registry file holds. */
export interface ParsedRegistry {
  /** In the order of the file; every uid once. */
  readonly entities: readonly StoredEntity[]
}

/** Where the file is imported to; fills what the plain sections may leave out. */
export interface ImportTarget {
  readonly tenant: string
}

interface Located {
  readonly path: string
  readonly entity: StoredEntity
}

/**
 * Reads the file of `warder registry import`: `entities` in Cedar's entity JSON, `actions` (entity JSON, names with their
 * groups, or plain names), and the plain sections `tenants`, `users`, `agents`, `groups`, `servers`, `tools` and
 * `resources`, which become `Warder::*` entities. Each `Warder::Tool` also becomes the action of the same name, in the
 * group of its side effect, unless the file defines that action itself.
 *
 * @returns every problem at once (at most 50); nothing of a file with a problem may be stored
 */
export function parseRegistry(
  text: string,
  target?: ImportTarget,
): Result<ParsedRegistry, readonly RegistryProblem[]> {
  const problems = new Problems()
  const file = readFile(text, problems)
  if (file === undefined) return failed(problems.list)
  const located = [...readEntities(file, problems), ...readPlainSections(file, target, problems)]
  const warder = located.some(({ entity }) => entity.uid.type.startsWith('Warder::'))
  const actions = readActions(file, warder ? 'Warder::Action' : 'Action', problems)
  const all = withToolActions([...located, ...actions])
  if (all.length > ENTITIES_MAX) problems.add('', `the file has more than ${ENTITIES_MAX} entities`)
  const entities = uniqueEntities(all, problems)
  checkHierarchy(entities, problems)
  return problems.list.length > 0 ? failed(problems.list) : success({ entities })
}

function readFile(text: string, problems: Problems): JsonObject | undefined {
  if (text.length > TEXT_LENGTH_MAX) {
    problems.add('', 'the file is too large', 'import it in parts')
    return undefined
  }
  // Its other findings are made again below, with the place in the file's own terms.
  const fault = scanJson(text, SCAN_LIMITS)
  if (fault?.kind === 'duplicate_key') {
    problems.add('', fault.message)
    return undefined
  }
  try {
    // A byte order mark is what some editors put in front; JSON itself has none.
    const file: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    if (isObject(file)) return file
    problems.add('', 'the file must hold a JSON object', 'write {"entities": [...], "actions": [...]}')
  } catch (fault) {
    problems.add('', 'the file is not valid JSON', fault instanceof Error ? fault.message : undefined)
  }
  return undefined
}

function readEntities(file: JsonObject, problems: Problems): readonly Located[] {
  const sections = ['entities', 'actions', ...SHORTHAND_SECTIONS]
  for (const key of Object.keys(file)) {
    if (!sections.includes(key)) {
      problems.add(key.slice(0, 60), 'is not a section of a registry file', `use ${sections.join(', ')}`)
    }
  }
  return eachOf(file, 'entities', problems, (value, path) => {
    const entity = readEntity(value, path, problems)
    return entity === undefined ? undefined : completeAction(entity)
  })
}

function readActions(file: JsonObject, type: string, problems: Problems): readonly Located[] {
  return eachOf(file, 'actions', problems, (value, path) => readAction(value, path, type, problems))
}

function readPlainSections(
  file: JsonObject,
  target: ImportTarget | undefined,
  problems: Problems,
): readonly Located[] {
  return SHORTHAND_SECTIONS.flatMap((section) =>
    eachOf(file, section, problems, (value, path) =>
      readShorthand(section, value, path, target?.tenant, problems),
    ),
  )
}

function eachOf(
  file: JsonObject,
  section: string,
  problems: Problems,
  read: (value: Json, path: string) => StoredEntity | undefined,
): readonly Located[] {
  const list = Object.hasOwn(file, section) ? file[section] : undefined
  if (list === undefined) return []
  if (!Array.isArray(list)) {
    problems.add(section, 'must be a list')
    return []
  }
  const located: Located[] = []
  for (const [i, value] of (list as readonly Json[]).entries()) {
    if (problems.full) break
    const path = `${section}[${i}]`
    const entity = read(value, path)
    if (entity !== undefined) located.push({ path, entity })
  }
  return located
}

/** Adds the action of each tool. One that the file defines itself stays as it is. */
function withToolActions(located: readonly Located[]): readonly Located[] {
  const defined = new Set(located.map(({ entity }) => uidKey(entity.uid)))
  const made: Located[] = []
  for (const { path, entity } of located) {
    const action = toolAction(entity)
    if (action === undefined || defined.has(uidKey(action.uid))) continue
    defined.add(uidKey(action.uid))
    made.push({ path, entity: action })
  }
  return [...located, ...made]
}

function uniqueEntities(located: readonly Located[], problems: Problems): readonly StoredEntity[] {
  const first = new Map<string, string>()
  for (const { path, entity } of located) {
    const key = uidKey(entity.uid)
    const other = first.get(key)
    if (other === undefined) first.set(key, path)
    else problems.add(path, `names the same entity as ${other}`, 'leave one of them out')
  }
  return located.map(({ entity }) => entity)
}
