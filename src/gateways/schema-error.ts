import type { z } from 'zod'
import { nearest } from '#lib/nearest.ts'
import type { JsonPath, Malformed } from '#model/request.ts'
import type { Json } from '#model/value.ts'

type Issue = z.core.$ZodIssue

/**
 * What a schema found wrong, in our codes and with the path of the field; the first problem only.
 *
 * @param known the field names of the object that stands at a path, for "did you mean".
 */
export function fromSchemaError(
  error: z.ZodError,
  body: Json,
  known: (path: readonly PropertyKey[]) => readonly string[],
): Malformed {
  const issue = error.issues[0]
  if (issue === undefined) return { code: 'request.wrong_type', message: 'the body has the wrong shape' }
  return describe(issue, [], body, known)
}

function describe(
  issue: Issue,
  base: readonly PropertyKey[],
  body: Json,
  known: (path: readonly PropertyKey[]) => readonly string[],
): Malformed {
  const path = [...base, ...issue.path]
  if (issue.code === 'unrecognized_keys') return unknownField(issue.keys[0] ?? '', path, known(path))
  if (issue.code === 'invalid_union') {
    // A text or an object: of an object that is wrong inside, the inside is worth telling.
    const inner = issue.errors.map((issues) => issues[0]).find((first) => (first?.path.length ?? 0) > 0)
    const unknown = issue.errors.flat().find((first) => first.code === 'unrecognized_keys')
    const better = inner ?? unknown
    if (better !== undefined) return describe(better, path, body, known)
    return { code: 'request.wrong_type', message: `\`${pathText(path)}\`: must be a text or an object` }
  }
  const name = pathText(path)
  if (valueAt(body, path) === undefined)
    return { code: 'request.missing_field', message: `\`${name}\` is required` }
  return { code: 'request.wrong_type', message: `\`${name}\`: ${issue.message}` }
}

function unknownField(key: string, path: readonly PropertyKey[], known: readonly string[]): Malformed {
  const shown = key.replace(/[^\x20-\x5f\x61-\x7e]/g, '?').slice(0, 64)
  const guess = nearest(key, known)
  const hint =
    guess === undefined
      ? known.length === 0
        ? ''
        : `; known fields: ${known.join(', ')}`
      : `; did you mean \`${guess}\`?`
  return {
    code: 'request.unknown_field',
    message: `\`${pathText([...path, shown])}\` is not a field${hint}`,
  }
}

/** `requests[2].agent.id` for its parts. */
export function pathText(path: readonly PropertyKey[]): JsonPath {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}

function valueAt(body: Json, path: readonly PropertyKey[]): Json | undefined {
  let value: Json | undefined = body
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Object.entries(value).find(([key]) => key === String(part))?.[1]
  }
  return value
}
