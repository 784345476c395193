import { isObject, type Json, type JsonObject, parseJson } from './json.ts'

/** Asks the people who may approve; false when they say no or nobody answers in time. */
export type Approve = (call: string, approvers: readonly string[], timeoutSeconds: number) => Promise<boolean>

/** What must be done with an allowed call. */
export interface Duties {
  readonly redact: readonly string[]
  readonly approvals: readonly { readonly approvers: readonly string[]; readonly timeoutSeconds: number }[]
  /** Types that this gateway can't carry out, which makes the call a deny. */
  readonly unknown: readonly string[]
}

const APPROVAL_SECONDS = 60

/** The types that this gateway carries out; it is registered with this list. */
export const SUPPORTED = ['redact', 'human_approval']

/** Sorts the obligations of an answer. What Warder carries out itself (`audit`, `max_age`) needs nothing here. */
export function dutiesOf(obligations: readonly JsonObject[]): Duties {
  const redact: string[] = []
  const approvals: { approvers: readonly string[]; timeoutSeconds: number }[] = []
  const unknown: string[] = []
  for (const obligation of obligations) {
    const { type, fields, approvers, timeout_seconds: seconds } = obligation
    if (type === 'redact' && obligation['in'] === 'result') redact.push(...textsOf(fields))
    else if (type === 'human_approval') {
      const timeoutSeconds = typeof seconds === 'number' ? seconds : APPROVAL_SECONDS
      approvals.push({ approvers: textsOf(approvers), timeoutSeconds })
    } else if (type !== 'audit' && type !== 'max_age') unknown.push(String(type))
  }
  return { redact, approvals, unknown }
}

/** `value` without the members named in `fields`, however deep, also inside texts that are JSON themselves. */
export function withoutFields(value: Json, fields: readonly string[]): Json {
  if (typeof value === 'string') return withoutFieldsInText(value, fields)
  if (Array.isArray(value)) return value.map((item: Json) => withoutFields(item, fields))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !fields.includes(name))
      .map(([name, member]) => [name, withoutFields(member, fields)]),
  )
}

function withoutFieldsInText(text: string, fields: readonly string[]): string {
  if (!/^\s*[[{]/.test(text)) return text
  try {
    return JSON.stringify(withoutFields(parseJson(text), fields))
  } catch {
    // Not JSON after all. A field of it can't be told from other text, so nothing of it goes out.
    return '[redacted]'
  }
}

function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
