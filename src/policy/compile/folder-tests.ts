import { z } from 'zod'
import type { SourceFile } from '#model/release.ts'
import type { Json } from '#model/value.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import { LIMITS } from './limits.ts'

/** One test as its file states it (Cedar's own shape, plus `obligations`). */
export interface FolderTest {
  readonly name: string
  readonly request: {
    readonly principal: string
    readonly action: string
    readonly resource: string
    readonly context: Readonly<Record<string, Json>>
  }
  readonly entities: readonly Json[]
  readonly decision: 'allow' | 'deny'
  readonly reason?: readonly string[] | undefined
  readonly num_errors?: number | undefined
  /** Types of the obligations that the answer carries. */
  readonly obligations?: readonly string[] | undefined
}

/** A test with the place where it stands. */
export interface PlacedTest {
  readonly test: FolderTest
  readonly file: SourceFile
  readonly offset: number
}

const ENTITY = 'Written as in a policy: Type::"id".'
const uid = (what: string) => z.string().max(2_048).describe(`${what} ${ENTITY}`)

const SCHEMA = z.strictObject({
  name: z.string().min(1).max(200).describe('What the test guarantees, in words.'),
  request: z.strictObject({
    principal: uid('Who asks.'),
    action: uid('What is to be done.'),
    resource: uid('On what.'),
    context: z.record(z.string(), z.json()).default({}).describe('Facts of the call, as Cedar JSON.'),
  }),
  entities: z
    .array(z.json())
    .default([])
    .describe('Entities that the policies can see, as Cedar entity JSON.'),
  decision: z.enum(['allow', 'deny']),
  reason: z.array(z.string()).optional().describe('Ids of exactly the policies that decide.'),
  num_errors: z.int().min(0).optional().describe('How many policies fail.'),
  obligations: z.array(z.string()).optional().describe('Types of exactly the obligations of the answer.'),
})

/** JSON Schema (2020-12) of a file of `tests/`, for editors. */
export function testsJsonSchema(): object {
  const schema = z.toJSONSchema(z.array(SCHEMA).max(LIMITS.testsPerFile), { io: 'input' })
  return { title: 'Tests of a Warder policy folder (tests/*.json)', ...schema }
}

const NESTING_MAX = 100

/** Reads a file of `tests/`: a JSON array of tests. */
export function readTests(file: SourceFile): {
  readonly tests: readonly PlacedTest[]
  readonly diagnostics: readonly Diagnostic[]
} {
  const refuse = (offset: number, finding: Finding) => ({
    tests: [],
    diagnostics: [diagnosticAt(file, offset, finding)],
  })
  const layout = itemOffsets(file.text)
  if (layout.deepest > NESTING_MAX)
    return refuse(layout.deepestAt, {
      code: 'test.syntax',
      message: `the file is nested deeper than ${NESTING_MAX}`,
    })
  let json: unknown
  try {
    json = JSON.parse(file.text)
  } catch {
    return refuse(jsonErrorOffset(file.text), {
      code: 'test.syntax',
      message: 'the file is not valid JSON',
    })
  }
  if (!Array.isArray(json))
    return refuse(0, { code: 'test.invalid', message: 'a test file holds an array of tests' })
  if (json.length > LIMITS.testsPerFile)
    return refuse(0, {
      code: 'test.invalid',
      message: `a test file holds at most ${LIMITS.testsPerFile} tests`,
    })
  const tests: PlacedTest[] = []
  const diagnostics: Diagnostic[] = []
  for (const [i, item] of json.entries()) {
    const offset = layout.offsets[i] ?? 0
    const parsed = SCHEMA.safeParse(item)
    if (parsed.success && !callsUnknown(item)) tests.push({ test: parsed.data, file, offset })
    else diagnostics.push(diagnosticAt(file, offset, invalid(parsed.error)))
  }
  return { tests, diagnostics }
}

function invalid(error: z.ZodError | undefined): Finding {
  const problems = (error?.issues ?? []).map((issue) => `\`${issue.path.join('.')}\`: ${issue.message}`)
  return {
    code: 'test.invalid',
    message: problems.length === 0 ? '`unknown` values are not allowed' : problems.join('; '),
    help: 'a test has `name`, `request` (`principal`, `action`, `resource`, `context`), `entities` and `decision`; it may have `reason`, `num_errors` and `obligations`',
  }
}

/** Whether Cedar's `unknown` is smuggled in as a value: every policy that touches it would be skipped. */
function callsUnknown(item: unknown): boolean {
  const queue: unknown[] = [item]
  while (queue.length > 0) {
    const next = queue.pop()
    if (typeof next !== 'object' || next === null) continue
    if ('fn' in next && next.fn === 'unknown') return true
    queue.push(...Object.values(next))
  }
  return false
}

/** Offsets of the items of a top level array, and the deepest nesting; works on any text. */
function itemOffsets(text: string) {
  const offsets: number[] = []
  let depth = 0
  let deepest = 0
  let deepestAt = 0
  let previous = ''
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charAt(i)
    if (JSON_SPACE.test(character)) continue
    const opensItem = previous === '[' ? offsets.length === 0 : previous === ','
    if (depth === 1 && opensItem && character !== ']') offsets.push(i)
    if (character === '"') i = skipString(text, i)
    depth += nestingOf(character)
    if (depth > deepest) {
      deepest = depth
      deepestAt = i
    }
    previous = character
  }
  return { offsets, deepest, deepestAt }
}

const JSON_SPACE = /[ \t\r\n]/

function nestingOf(character: string): number {
  if (character === '[' || character === '{') return 1
  return character === ']' || character === '}' ? -1 : 0
}

/** Index of the quote that ends the string that begins at `from`, or the end of the text. */
function skipString(text: string, from: number): number {
  let i = from + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i
}

/**
 * Where the text stops being JSON. V8 does not always say so; but whether a prefix can still become JSON is monotone,
 * so bisection finds the place.
 */
function jsonErrorOffset(text: string): number {
  let low = 0
  let high = text.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (isPrefixOfJson(text.slice(0, middle))) low = middle
    else high = middle - 1
  }
  return low
}

function isPrefixOfJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (fault) {
    const message = fault instanceof Error ? fault.message : ''
    const position = /at position (\d+)/.exec(message)?.[1]
    return message.startsWith('Unexpected end') || position === String(text.length)
  }
}
