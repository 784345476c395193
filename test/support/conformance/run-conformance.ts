import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { SchemaModel } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'
import { schemaModel } from '#policy/compile/schema-model.ts'
import type { Evaluate, Query } from '#policy/port.ts'
import { type CaseEntity, closedFacts } from '../fuzz/facts.ts'
import { releaseOfTexts } from '../policy-records.ts'
import { isObject, NotHeld, readFields, readUid } from './read-values.ts'
import type { ConformanceRequest, ConformanceTest } from './test-file.ts'

/** How the requests of a test came out. */
export interface Tally {
  passed: number
  /** Not asked: a value that the product's types can not hold. */
  notHeld: number
  readonly failures: string[]
}

type Answer = Pick<ConformanceRequest, 'decision' | 'reason' | 'errors'>

/** Starts counting. */
export function emptyTally(): Tally {
  return { passed: 0, notHeld: 0, failures: [] }
}

/** A test asked of cedar-wasm as a whole, with its schema and all its entities. */
export function runByCedar(test: ConformanceTest, tally: Tally): void {
  const staticPolicies = splitPolicies(test.policies)
  for (const request of test.requests) {
    const answer = cedar.isAuthorized({
      principal: readUid(request.principal) as never,
      action: readUid(request.action) as never,
      resource: readUid(request.resource) as never,
      context: request.context as never,
      entities: test.entities as never,
      policies: { staticPolicies },
      ...(test.schema !== undefined && { schema: test.schema as never }),
      validateRequest: request.validateRequest,
    })
    if (answer.type === 'failure') {
      tally.failures.push(`${test.file}, ${request.description}: refused: ${answer.errors[0]?.message}`)
      continue
    }
    const { decision, diagnostics } = answer.response
    const errors = diagnostics.errors.map((each) => each.policyId)
    record(tally, test, request, {
      decision,
      reason: diagnostics.reason.toSorted(),
      errors: errors.toSorted(),
    })
  }
}

/** A test asked of an evaluator of the product, through its port. */
export async function runByEvaluator(evaluate: Evaluate, test: ConformanceTest, tally: Tally): Promise<void> {
  const texts = Object.entries(splitPolicies(test.policies)).map(([id, text]) => withId(id, text))
  const release = await releaseOfTexts(texts, `sha256:${test.file}`)
  const model = modelOf(test.schema)
  for (const request of test.requests) {
    try {
      const [found] = evaluate(release, [queryOf(test, model, request)])
      if (found === undefined || 'kind' in found) {
        tally.failures.push(`${test.file}, ${request.description}: ${found?.detail}`)
        continue
      }
      const allows = found.satisfied.some((id) => release.find(id)?.effect === 'permit')
      record(tally, test, request, {
        decision: allows ? 'allow' : 'deny',
        reason: found.satisfied,
        errors: found.errored,
      })
    } catch (error) {
      if (!(error instanceof NotHeld)) throw error
      tally.notHeld += 1
    }
  }
}

function record(tally: Tally, { file }: ConformanceTest, request: ConformanceRequest, got: Answer): void {
  const { decision, reason, errors } = request
  const [want, have] = [JSON.stringify({ decision, reason, errors }), JSON.stringify(got)]
  if (want === have) tally.passed += 1
  else tally.failures.push(`${file}, ${request.description}: expected ${want}, got ${have}`)
}

/** Policies by `policy0`, `policy1`, ... in the order of the text; the engine gives them sorted by these names. */
function splitPolicies(text: string): { readonly [id: string]: string } {
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') throw new Error(`the policies do not parse: ${parts.errors[0]?.message}`)
  const ids = parts.policies.map((_, i) => `policy${i}`).toSorted()
  return Object.fromEntries(parts.policies.map((policy, i) => [ids[i] ?? '', policy]))
}

/** The text with our annotation instead of those that it came with, which never matter for the answer. */
function withId(id: string, text: string): string {
  const start = /(?:^|[\s)])(?=(?:permit|forbid)\s*\()/.exec(text)
  return `@id("${id}")\n${start === null ? text : text.slice(start.index + start[0].length)}`
}

function modelOf(schema: ConformanceTest['schema']): SchemaModel | undefined {
  if (schema === undefined) return undefined
  const text = typeof schema === 'string' ? schema : textOf(schema)
  const resolved = cedar.schemaToJsonWithResolvedTypes(text)
  if (resolved.type === 'failure')
    throw new Error(`the schema does not parse: ${resolved.errors[0]?.message}`)
  return schemaModel(resolved.json)
}

function textOf(schema: object): string {
  const answer = cedar.schemaToText(schema as never)
  if (answer.type === 'failure') throw new Error(`the schema does not parse: ${answer.errors[0]?.message}`)
  return answer.text
}

function queryOf(
  { entities }: ConformanceTest,
  model: SchemaModel | undefined,
  request: ConformanceRequest,
): Query {
  const action = readUid(request.action)
  const actions = (model?.actions ?? []).map(({ uid, groups }) => entityOf(uid, groups))
  const declared = model?.actions.find(({ uid }) => uidKey(uid) === uidKey(action))
  const facts = closedFacts([...actions, ...entities.filter(isObject).map((each) => readEntity(each, model))])
  return {
    principal: readUid(request.principal),
    action,
    resource: readUid(request.resource),
    actionAncestors: facts.get(uidKey(action))?.ancestors ?? [],
    context: readFields(request.context, declared?.context),
    entity: (uid) => facts.get(uidKey(uid)),
  }
}

function entityOf(uid: EntityUid, parents: readonly EntityUid[]): CaseEntity {
  return { uid, attrs: new Map(), tags: new Map(), parents }
}

function readEntity(json: { readonly [key: string]: unknown }, model: SchemaModel | undefined): CaseEntity {
  const uid = readUid(json['uid'])
  const types = model?.entityTypes ?? {}
  const type = Object.hasOwn(types, uid.type) ? types[uid.type] : undefined
  const tags = isObject(json['tags']) ? Object.keys(json['tags']) : []
  const tag = type?.tags
  const tagTypes = tag && Object.fromEntries(tags.map((name) => [name, { type: tag, required: true }]))
  const parents = Array.isArray(json['parents']) ? json['parents'].map(readUid) : []
  return {
    uid,
    attrs: readFields(json['attrs'], type?.attrs),
    tags: readFields(json['tags'], tagTypes),
    parents,
  }
}
