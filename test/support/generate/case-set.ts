import type { StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyRecord, Release, ReleaseHeader } from '#model/release.ts'
import { uidKey } from '#model/value.ts'
import { compilePolicy } from '#policy/compile/policy-record.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import type { EngineFault, Evaluate, Evaluation, Query } from '#policy/port.ts'
import { type GenFacts, type GenRequest, generateFacts, generateRequest, implicitRecord } from './facts.ts'
import { generatePolicies } from './policies.ts'
import { createRandom } from './random.ts'
import { type GenSchema, generateSchema } from './schema.ts'

/** Policies, schema and entities that several requests are asked against. */
export interface CaseSet {
  readonly schema: GenSchema
  readonly facts: GenFacts
  readonly policies: ReadonlyMap<string, string>
  readonly requests: readonly GenRequest[]
}

/** The case set of a seed. */
export function generateCaseSet(seed: number, requests: number): CaseSet {
  const random = createRandom(seed)
  const schema = generateSchema(random)
  const facts = generateFacts(random, schema)
  const policies = generatePolicies(random, schema, facts)
  return {
    schema,
    facts,
    policies,
    requests: Array.from({ length: requests }, () => generateRequest(random, schema, facts)),
  }
}

/** Answers a request the long way: all policies, all entities, with schema and request validation. */
export function createOracle(
  set: CaseSet,
  policies: ReadonlyMap<string, string> = set.policies,
): (request: GenRequest) => Evaluation {
  const names = { preparsedPolicySetId: 'oracle', preparsedSchemaName: 'oracle' }
  mustSucceed(cedar.preparseSchema(names.preparsedSchemaName, set.schema.json))
  const staticPolicies = Object.fromEntries(policies)
  mustSucceed(cedar.preparsePolicySet(names.preparsedPolicySetId, { staticPolicies }))
  return (request) => {
    const call = {
      principal: request.principal,
      action: request.action.uid,
      resource: request.resource,
      context: implicitRecord(request.context),
      entities: set.facts.json,
      validateRequest: true,
      ...names,
    } as StatefulAuthorizationCall
    const answer = cedar.statefulIsAuthorized(call)
    mustSucceed(answer)
    if (answer.type === 'failure') throw new Error('unreachable')
    const { reason, errors } = answer.response.diagnostics
    return { satisfied: sorted(reason), errored: sorted(errors.map((each) => each.policyId)) }
  }
}

function sorted(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)].toSorted((a, b) => (a < b ? -1 : 1))
}

function mustSucceed(answer: {
  readonly type: string
  readonly errors?: readonly { readonly message: string }[]
}): void {
  if (answer.type !== 'success') throw new Error(`the oracle refuses: ${answer.errors?.[0]?.message}`)
}

let releases = 0

/** The same policies as a release, compiled and indexed as the server does it. */
export async function releaseOf(policies: ReadonlyMap<string, string>): Promise<Release> {
  releases += 1
  const records = [...policies].map(([id, text]) => recordOf(id, text))
  const header = {
    id: `sha256:generated-${releases}`,
    vocabulary: 'own',
    validated: true,
    schema: undefined,
    policyCount: records.length,
  } as ReleaseHeader
  return await assembleRelease(
    header,
    (async function* () {
      yield records
    })(),
  )
}

function recordOf(id: string, text: string): PolicyRecord {
  const source = {
    file: { name: `${id}.cedar`, text },
    text,
    start: 0,
    head: 0,
    annotations: new Map<string, number>(),
  }
  const compiled = compilePolicy(source, 'tenant')
  if (!('record' in compiled) || compiled.record === undefined) throw new Error(`does not compile: ${text}`)
  return compiled.record
}

/** The query that the product would build for a request. */
export function queryOf(set: CaseSet, request: GenRequest): Query {
  return {
    principal: request.principal,
    action: request.action.uid,
    resource: request.resource,
    actionAncestors: request.action.ancestors,
    context: request.context,
    entity: (uid) => set.facts.entities.get(uidKey(uid)),
  }
}

/** What differs between both answers, or undefined. */
export function difference(
  expected: Evaluation,
  actual: Evaluation | EngineFault | undefined,
): string | undefined {
  const [want, got] = [JSON.stringify(expected), JSON.stringify(actual)]
  return want === got ? undefined : `expected ${want}\n     got ${got}`
}

/** The fewest policies that still show the difference of `request`, as text. */
export async function shrink(set: CaseSet, request: GenRequest, evaluate: Evaluate): Promise<string> {
  let policies = set.policies
  for (const id of set.policies.keys()) {
    const fewer = new Map([...policies].filter(([other]) => other !== id))
    if ((await differs(set, request, evaluate, fewer)) !== undefined) policies = fewer
  }
  const reached = { ...request, action: request.action.uid, context: implicitRecord(request.context) }
  return [
    await differs(set, request, evaluate, policies),
    ...policies.values(),
    JSON.stringify(reached),
    JSON.stringify(set.facts.json),
    JSON.stringify(set.schema.json),
  ].join('\n')
}

async function differs(
  set: CaseSet,
  request: GenRequest,
  evaluate: Evaluate,
  policies: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const expected = createOracle(set, policies)(request)
  return difference(expected, evaluate(await releaseOf(policies), [queryOf(set, request)])[0])
}
