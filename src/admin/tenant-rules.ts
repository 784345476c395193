import { z } from 'zod'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantRules } from '#model/tenant-rules.ts'

/** One thing wrong with a rules file. `path` is dotted; empty for the document itself. */
export interface RulesProblem {
  readonly path: string
  readonly message: string
}

const name = z.string().min(1).max(512)
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be a scope (RFC 6749 section 3.3)')
const listBy = (item: z.ZodString) => z.record(name, z.array(item).max(100))
const seconds = z.int().min(1).max(86_400)

const breaker = z.strictObject({
  denyShare: z.number().gt(0).max(1),
  minimum: z.int().min(1).max(1_000_000),
  windowSeconds: seconds,
  openSeconds: seconds,
})

/** Every rule with its range; model/tenant-rules.ts says what each means and its default. */
const RULES = {
  proofOfPossession: z.enum(['none', 'all', 'medium', 'high', 'critical']),
  proofNonce: z.boolean(),
  freshKeys: z.enum(['none', 'all', 'medium', 'high', 'critical']),
  scopes: listBy(scope),
  actorRequired: z.array(name).max(100),
  chainDepthMax: z.int().min(1).max(8),
  grantsRequired: z.boolean(),
  chainEvidenceMin: z.enum(['declared', 'token', 'registered', 'proven', 'signed']),
  actorKeys: listBy(
    z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be the thumbprint of a key (RFC 7638, SHA-256)'),
  ),
  actorIssuers: listBy(name),
  breaker,
} satisfies { readonly [Rule in keyof Required<TenantRules>]: z.ZodType }

const rulesSchema = z.strictObject(RULES).partial()

/** The rules that a JSON document spells, or every problem in it. An empty object demands nothing. */
export function parseTenantRules(json: unknown): Result<TenantRules, readonly RulesProblem[]> {
  const parsed = rulesSchema.safeParse(json)
  if (!parsed.success) return failed(parsed.error.issues.flatMap(problemsOf))
  // Members that are not there stay so: an absent rule has its default.
  return success(Object.fromEntries(Object.entries(parsed.data)) as TenantRules)
}

function problemsOf(issue: z.core.$ZodIssue): readonly RulesProblem[] {
  const path = issue.path.map(String).join('.')
  if (issue.code !== 'unrecognized_keys')
    return [{ path, message: issue.message.replace(/^Invalid (?:input|option): /, '') }]
  const known = Object.keys(path === 'breaker' ? breaker.shape : RULES)
  return issue.keys.map((key) => {
    const near = nearest(key, known)
    return {
      path: path === '' ? key : `${path}.${key}`,
      message: near === undefined ? 'unknown rule' : `unknown rule; did you mean \`${near}\`?`,
    }
  })
}
