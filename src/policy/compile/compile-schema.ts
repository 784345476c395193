import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs'
import type { SchemaModel, SourceFile } from '#model/release.ts'
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'
import { callEngine, flattenErrors, helpOf } from './engine.ts'
import { joinPieces, type Piece, placeOf } from './mapped-text.ts'
import { declareTools, guardSchema, type MergedSchema, mergeSchema } from './merge-schema.ts'
import { compareText } from './release-id.ts'
import { SchemaTooLarge, schemaModel } from './schema-model.ts'
import { tokens } from './tokens.ts'

/** The compiled schema, or why there is none. */
export type SchemaOutcome =
  | {
      readonly ok: true
      readonly diagnostics: readonly Diagnostic[]
      /** Without the tools that only policies name. */
      readonly model: SchemaModel
      /** Schema text that declares at least these tools; without an argument all that the policies name. */
      text(tools?: ReadonlySet<string>): string
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] }

const NAMESPACE_ACTION = 'Warder::Action'
const ROOT_GROUP = 'callTool'

/**
 * Merges, checks and reads the schema. `ours` is undefined for a tenant with its own vocabulary. `tools` are ids that
 * policies name; those that no schema declares are declared, except where they look like a misspelt group.
 * @throws EngineFailure
 */
export function compileSchema(
  ours: SourceFile | undefined,
  tenant: readonly SourceFile[],
  tools: ReadonlySet<string>,
): SchemaOutcome {
  const guarded = tenant.flatMap(guardSchema)
  if (guarded.length > 0) return { ok: false, diagnostics: guarded }
  const { before, after, diagnostics } = ours === undefined ? alone(tenant) : mergeSchema(ours, tenant)
  if (diagnostics.length > 0) return { ok: false, diagnostics }
  const pieces = [...before, ...after]
  const text = joinPieces(pieces)
  const checked = callEngine((engine) => engine.checkParseSchema(text))
  if (checked.type === 'failure') return { ok: false, diagnostics: engineErrors(checked.errors, pieces) }
  const resolved = callEngine((engine) => engine.schemaToJsonWithResolvedTypes(text))
  if (resolved.type === 'failure') return { ok: false, diagnostics: engineErrors(resolved.errors, pieces) }
  const model = readModel(() => schemaModel(resolved.json))
  const place = tenant[0] ?? ours
  if (model === undefined) return { ok: false, diagnostics: place === undefined ? [] : [tooLarge(place)] }
  const ungrouped = ours === undefined ? [] : ungroupedActions(model, tenant)
  if (ungrouped.length > 0) return { ok: false, diagnostics: ungrouped }
  const declared = new Set(
    model.actions.filter(({ uid }) => uid.type === NAMESPACE_ACTION).map(({ uid }) => uid.id),
  )
  const groups = new Set(model.actions.flatMap((action) => action.groups.map((group) => group.id)))
  const missing = [...tools]
    .filter((id) => !declared.has(id) && !isMisspelt(id, [...declared, ...groups]))
    .toSorted(compareText)
  const halves = [joinPieces(before), joinPieces(after)]
  const textWith = (wanted?: ReadonlySet<string>) =>
    // At least one tool, so that a batch sees what any tool beside the groups looks like.
    halves.join(declareTools(missing.filter((id, i) => wanted === undefined || i === 0 || wanted.has(id))))
  return { ok: true, diagnostics: [], model, text: textWith }
}

function alone(tenant: readonly SourceFile[]): MergedSchema {
  const before = tenant.map((file) => ({ text: `${file.text}\n`, file, offset: 0, generated: false }))
  return { before, after: [], diagnostics: [] }
}

function engineErrors(errors: readonly DetailedError[], pieces: readonly Piece[]): readonly Diagnostic[] {
  const fallback = pieces.at(-1)?.file ?? { name: '', text: '' }
  return flattenErrors(errors).map((error) => {
    const start = error.sourceLocations?.[0]?.start
    const place = start === undefined ? undefined : placeOf(pieces, start)
    const message = error.message.replace(
      /^(failed to parse schema from string: )?(error parsing schema: )?/,
      '',
    )
    return diagnosticAt(place?.file ?? fallback, place?.offset ?? 0, {
      code: /unexpected|invalid token/.test(message) ? 'schema.syntax' : 'schema.invalid',
      message,
      help: helpOf(error),
    })
  })
}

function readModel(read: () => SchemaModel): SchemaModel | undefined {
  try {
    return read()
  } catch (fault) {
    if (fault instanceof SchemaTooLarge) return undefined
    throw fault
  }
}

function tooLarge(file: SourceFile): Diagnostic {
  return diagnosticAt(file, 0, {
    code: 'schema.too_large',
    message: 'the schema is too large once its common types are written out',
    help: 'use fewer actions, or smaller records in their contexts',
  })
}

/** Guardrails and policies speak about all tools by `callTool`; an action outside of it would escape them. */
function ungroupedActions(model: SchemaModel, tenant: readonly SourceFile[]): readonly Diagnostic[] {
  return model.actions
    .filter(
      ({ uid, groups }) => uid.type === NAMESPACE_ACTION && uid.id !== ROOT_GROUP && !groups.some(isRoot),
    )
    .map(({ uid }) => {
      const place = findName(uid.id, tenant)
      return diagnosticAt(place.file, place.offset, {
        code: 'schema.action_group',
        message: `the action \`${uid.id}\` is not in the group \`${ROOT_GROUP}\``,
        help: `add \`in [${ROOT_GROUP}]\`, or one of the groups that are in it`,
      })
    })
}

function isRoot(group: { readonly type: string; readonly id: string }): boolean {
  return group.type === NAMESPACE_ACTION && group.id === ROOT_GROUP
}

function findName(name: string, files: readonly SourceFile[]) {
  for (const file of files)
    for (const token of tokens(file.text))
      if (token.text === name || (token.kind === 'string' && token.text.slice(1, -1) === name))
        return { file, offset: token.start }
  return { file: files[0] ?? { name: '', text: '' }, offset: 0 }
}

/** One or two slips away from a declared name without a server part: more likely a mistake than a tool. */
function isMisspelt(id: string, names: readonly string[]): boolean {
  if (id.includes('/')) return false
  return names.some((name) => !name.includes('/') && distance(id.toLowerCase(), name.toLowerCase()) <= 2)
}

/** Levenshtein distance; long texts count as far apart. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length < 5) return 3
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j += 1)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (character === b[j - 1] ? 0 : 1),
        ),
      )
    row = next
  }
  return row[b.length] ?? 3
}
