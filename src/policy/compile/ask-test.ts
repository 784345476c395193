import type {
  Context,
  EntityUid as EngineUid,
  Entities,
  PolicyJson,
  Response,
} from '@cedar-policy/cedar-wasm/nodejs'
import { callEngine, EngineFailure } from './engine.ts'
import type { FolderTest } from './folder-tests.ts'
import { tokens } from './tokens.ts'

/**
 * Makes policies ready under the name `handle`, with the schema where there is one. Without policies it frees them.
 * @throws EngineFailure
 */
export function prepareTests(
  handle: string,
  staticPolicies: Record<string, string | PolicyJson>,
  schemaText: string | undefined,
): void {
  const answers = callEngine((engine) => [
    engine.preparsePolicySet(handle, { staticPolicies }),
    ...(schemaText === undefined ? [] : [engine.preparseSchema(handle, schemaText)]),
  ])
  if (answers.some((answer) => answer.type === 'failure'))
    throw new EngineFailure('the policy engine refused a release that it had accepted')
}

/**
 * Asks the policies under `handle` what the test asks; a text where the request can not be evaluated.
 * @throws EngineFailure
 */
export function askTest(test: FolderTest, handle: string, hasSchema: boolean): Response | string {
  const { principal, action, resource, context } = test.request
  const uids = [principal, action, resource].map(readUid)
  const [principalUid, actionUid, resourceUid] = uids
  if (principalUid === undefined || actionUid === undefined || resourceUid === undefined)
    return `\`${[principal, action, resource][uids.indexOf(undefined)]}\` is not an entity; write \`Type::"id"\``
  const answer = callEngine((engine) =>
    engine.statefulIsAuthorized({
      principal: principalUid,
      action: actionUid,
      resource: resourceUid,
      context: context as Context,
      entities: test.entities as unknown as Entities,
      preparsedPolicySetId: handle,
      ...(hasSchema ? { preparsedSchemaName: handle } : {}),
    }),
  )
  if (answer.type === 'failure') return answer.errors.map((error) => error.message).join('; ')
  return answer.response
}

/** Reads `Type::"id"`; the engine itself reads the escapes. Undefined for anything else. */
function readUid(text: string): EngineUid | undefined {
  const shape = [...tokens(text)].map((token) => (token.kind === 'mark' ? token.text : token.kind)).join(' ')
  if (!/^(word :: )+string$/.test(shape)) return undefined
  const answer = callEngine((engine) =>
    engine.policyToJson(`permit(principal == ${text}, action, resource);`),
  )
  if (answer.type === 'failure') return undefined
  const { principal } = answer.json
  return principal.op === '==' && 'entity' in principal ? principal.entity : undefined
}
