import { z } from 'zod'
import { isSettableHeader } from '#lib/header-name.ts'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { ObligationTemplate } from '#model/release.ts'

/** Version of the closed catalogue; part of every release id. A change of a type or its merge rule raises it. */
export const OBLIGATION_CATALOGUE_VERSION = 2

/**
 * How the same obligation of several policies becomes one. `union`: all are kept (equal ones once). `strictest`: per
 * property the value that allows least. `conflict`: two different ones contradict each other, which denies.
 */
export type ObligationMerge = 'union' | 'strictest' | 'conflict'

/** One entry of the catalogue. */
export interface ObligationDefinition {
  /** Checks the properties (everything but `type`); unknown properties are refused. */
  readonly schema: z.ZodObject
  /** Who carries it out; `gateway` ones need a gateway that is registered for them. */
  readonly executes: 'gateway' | 'warder'
  readonly merge: ObligationMerge
  /** One line for authors. */
  readonly description: string
}

const ANNOTATION_CHARACTERS_MAX = 4_096
const OBLIGATIONS_PER_POLICY_MAX = 16
const YEAR_SECONDS = 31_536_000

// C0, DEL and C1: none of them may reach a header, a log line or a mail.
const PLAIN_TEXT = /^[^\p{Cc}]*$/u
const text = (charactersMax: number) =>
  z.string().min(1).max(charactersMax).regex(PLAIN_TEXT, 'must not contain control characters')
const list = (charactersMax: number) => z.array(text(charactersMax)).min(1).max(64)
const seconds = (max: number) => z.int().min(1).max(max)

const headerName = z
  .string()
  .refine(
    isSettableHeader,
    'must be a header name of letters, digits and `-` that does not belong to the connection, to credentials or to the gateway',
  )

/** Every obligation of the catalogue, version 2; docs/obligations.md describes them. */
export const OBLIGATIONS: Readonly<Record<ObligationType, ObligationDefinition>> = {
  step_up: {
    schema: z.strictObject({
      acr_value: text(256),
      amr_values: list(64).optional(),
      max_age_seconds: seconds(86_400).optional(),
    }),
    executes: 'gateway',
    merge: 'conflict',
    description: 'the user must authenticate again with this authentication context (RFC 9470)',
  },
  human_approval: {
    schema: z.strictObject({
      approvers: list(256).optional(),
      timeout_seconds: seconds(7 * 86_400).optional(),
    }),
    executes: 'gateway',
    merge: 'union',
    description: 'a human must approve this call before it is made',
  },
  redact: {
    schema: z.strictObject({ fields: list(256), in: z.enum(['arguments', 'result']) }),
    executes: 'gateway',
    merge: 'union',
    description: 'these fields must be removed from the arguments or from the result',
  },
  rate_limit: {
    schema: z.strictObject({
      limit: z.int().min(1).max(1_000_000_000),
      window_seconds: seconds(30 * 86_400),
      key: text(128).optional(),
    }),
    executes: 'gateway',
    merge: 'strictest',
    description: 'no more than this many calls per window and key',
  },
  token_exchange: {
    schema: z.strictObject({
      audience: text(1_024),
      scope: text(1_024).optional(),
      resource: text(1_024).optional(),
    }),
    executes: 'gateway',
    merge: 'conflict',
    description: 'the access token must be exchanged for one with this audience (RFC 8693)',
  },
  strip_authorization: {
    schema: z.strictObject({}),
    executes: 'gateway',
    merge: 'union',
    description: 'the agent’s credentials must not reach the upstream',
  },
  set_header: {
    schema: z.strictObject({
      name: headerName,
      value: z.string().max(2_048).regex(PLAIN_TEXT, 'must not contain control characters or line breaks'),
    }),
    executes: 'gateway',
    merge: 'conflict',
    description: 'the request to the upstream must carry this header; a client’s own is replaced',
  },
  audit: {
    schema: z.strictObject({ level: z.enum(['info', 'warning', 'critical']) }),
    executes: 'warder',
    merge: 'strictest',
    description: 'the decision is marked with this level in the decision log',
  },
  notify: {
    schema: z.strictObject({ to: list(256), body: text(2_048), topic: text(128).optional() }),
    executes: 'gateway',
    merge: 'union',
    description: 'these recipients must be told about the call',
  },
  max_age: {
    schema: z.strictObject({ seconds: z.int().min(0).max(YEAR_SECONDS) }),
    executes: 'warder',
    merge: 'strictest',
    description: 'an allow may be reused for at most this long',
  },
}

/**
 * Checks one obligation object (`{"type": ..., ...properties}`, already parsed from JSON) against the catalogue.
 * The failure is a sentence for the policy author.
 */
export function parseObligation(json: unknown): Result<ObligationTemplate, string> {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return failed('an obligation must be a JSON object with a `type`')
  const { type, ...properties } = json as Record<string, unknown>
  if (typeof type !== 'string' || !isObligationType(type))
    return failed(
      `unknown obligation type \`${String(type).slice(0, 64)}\`; known are ${Object.keys(OBLIGATIONS).join(', ')}`,
    )
  const parsed = OBLIGATIONS[type].schema.safeParse(properties)
  if (parsed.success) return success({ type, properties: parsed.data as ObligationTemplate['properties'] })
  const known = Object.keys(OBLIGATIONS[type].schema.shape)
  const problems = parsed.error.issues.map((issue) => problemOf(issue, known))
  return failed(`obligation \`${type}\` is not valid: ${problems.join('; ')}`)
}

function problemOf(issue: z.core.$ZodIssue, known: readonly string[]): string {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownProperty(key, known)).join('; ')
  const at = issue.path.length === 0 ? '' : `\`${issue.path.join('.')}\`: `
  if (issue.message.endsWith('received undefined')) return `${at}is required`
  return `${at}${issue.message.replace(/^Invalid (?:input|option): /, '')}`
}

function unknownProperty(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  return `\`${key}\` is not one of its properties${near === undefined ? '' : `; did you mean \`${near}\`?`}`
}

/**
 * Reads the value of an `@obligation("...")` annotation: a JSON object, an array of objects, or the bare name of a
 * type that needs no properties. The failure is a sentence for the policy author.
 */
export function parseObligationAnnotation(value: string): Result<readonly ObligationTemplate[], string> {
  const bare = value.trim()
  if (bare.length > ANNOTATION_CHARACTERS_MAX)
    return failed(`the annotation is longer than ${ANNOTATION_CHARACTERS_MAX} characters`)
  if (/^[a-z_]+$/.test(bare)) return parseAll([{ type: bare }])
  let json: unknown
  try {
    json = JSON.parse(bare)
  } catch {
    return failed('the annotation must hold a JSON object, an array of objects, or the bare name of a type')
  }
  if (!Array.isArray(json)) return parseAll([json])
  if (json.length === 0 || json.length > OBLIGATIONS_PER_POLICY_MAX)
    return failed(`a policy carries 1 to ${OBLIGATIONS_PER_POLICY_MAX} obligations`)
  return parseAll(json)
}

function parseAll(items: readonly unknown[]): Result<readonly ObligationTemplate[], string> {
  const parsed = items.map(parseObligation)
  const problems = parsed.flatMap((item) => (item.ok ? [] : [item.failure]))
  if (problems.length > 0) return failed(problems.join('; '))
  return success(parsed.flatMap((item) => (item.ok ? [item.value] : [])))
}

function isObligationType(type: string): type is ObligationType {
  return Object.hasOwn(OBLIGATIONS, type)
}
