import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authorize, type Settings } from '../../integrations/aws-lambda-authorizer/index.mjs'
import { addGateway } from './demo.ts'
import type { TestIssuer } from './issuer.ts'
import { startDemo } from './prepared.ts'
import { ALLOW, allowWith, type ScriptedAnswer, type ScriptedPdp, startScriptedPdp } from './scripted-pdp.ts'
import type { Warder } from './warder.ts'

type Headers = Readonly<Record<string, string>>

const ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod'

/** An event of an HTTP API with payload format 2.0, in the form that AWS documents. */
function httpEvent(method: string, path: string, headers: Headers, query = '') {
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: `${ARN}/${method}${path}`,
    identitySource: [headers['authorization']],
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers,
    requestContext: {
      accountId: '123456789012',
      apiId: 'abcdef123',
      domainName: 'api.example.com',
      domainPrefix: 'api',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'agent' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: '$default',
      stage: '$default',
      timeEpoch: 1583348638390,
    },
  }
}

/** An event of a REST API, authorizer type REQUEST. */
function restEvent(method: string, path: string, headers: Headers) {
  const named = Object.entries(headers)
  return {
    type: 'REQUEST',
    methodArn: `${ARN}/${method}${path}`,
    resource: '/{proxy+}',
    path,
    httpMethod: method,
    headers,
    multiValueHeaders: Object.fromEntries(named.map(([name, value]) => [name, [value]])),
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    pathParameters: null,
    stageVariables: null,
    requestContext: {
      path,
      httpMethod: method,
      domainName: 'api.example.com',
      apiId: 'abcdef123',
      stage: 'prod',
      requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      identity: { sourceIp: '192.0.2.1' },
    },
  }
}

let warder: Warder
let issuer: TestIssuer
let settings: Settings
beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
  const gatewayKey = await addGateway(warder, 'aws')
  settings = { url: `http://127.0.0.1:${warder.decisionPort}`, gatewayKey, timeoutMilliseconds: 5_000 }
})
afterAll(async () => await warder?.remove())
const bearer = async (agent: string): Promise<Headers> => ({
  authorization: `Bearer ${await issuer.token(agent, 'alice')}`,
})

describe('an HTTP API before a real Warder', () => {
  test('what policy permits, with who calls for the integration', async () => {
    const event = httpEvent('GET', '/repos/7', await bearer('triage-bot'), 'page=2')
    expect(await authorize(event, settings)).toEqual({
      isAuthorized: true,
      context: {
        agent: 'triage-bot',
        user: 'alice',
        tenant: 'demo',
        reason: 'policy.permit',
        decisionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        obligations: expect.stringContaining('set_header'),
        set_x_agent_purpose: 'agent-read',
      },
    })
  })

  const denied: readonly (readonly [string, string, string, Headers, string])[] = [
    ['what policy does not permit', 'DELETE', '/repos/7', {}, 'policy.no_permit'],
    ['a bad token', 'GET', '/repos', { authorization: 'Bearer x' }, 'token.malformed'],
    ['a forged identity', 'GET', '/repos', { 'x-warder-user': 'alice' }, 'request.header_conflict'],
    ['a path that can be read in two ways', 'GET', '/repos/../admin', {}, 'request.path_ambiguous'],
    [
      'two tokens, joined as API Gateway joins them',
      'GET',
      '/repos',
      { authorization: 'Bearer a,Bearer b' },
      '',
    ],
    [
      'headers that name another call',
      'DELETE',
      '/repos/7',
      { 'x-forwarded-method': 'GET', 'x-original-url': '/repos', 'x-original-method': 'GET' },
      'policy.no_permit',
    ],
  ]
  test.each(denied)('not %s', async (_what, method, path, headers, reason) => {
    const event = httpEvent(method, path, { ...(await bearer('triage-bot')), ...headers })
    expect(await authorize(event, settings)).toMatchObject({
      isAuthorized: false,
      context: { reason: reason === '' ? expect.any(String) : reason },
    })
  })
})

describe('a REST API before a real Warder', () => {
  test('a policy for this one method', async () => {
    const event = restEvent('GET', '/repos/7', await bearer('triage-bot'))
    expect(await authorize(event, settings)).toMatchObject({
      principalId: 'triage-bot',
      policyDocument: { Statement: [{ Effect: 'Allow', Resource: `${ARN}/GET/repos/7` }] },
    })
    const refused = restEvent('DELETE', '/repos/7', await bearer('triage-bot'))
    expect(await authorize(refused, settings)).toMatchObject({
      policyDocument: { Statement: [{ Effect: 'Deny', Resource: `${ARN}/DELETE/repos/7` }] },
      context: { reason: 'policy.no_permit' },
    })
    await expect(authorize(restEvent('GET', '/repos', {}), settings)).rejects.toThrow(/^Unauthorized$/)
  })

  test('every copy of a header counts', async () => {
    const { authorization = '' } = await bearer('triage-bot')
    const event = restEvent('GET', '/repos', { authorization })
    const twice = { ...event, multiValueHeaders: { Authorization: [authorization, 'Bearer other'] } }
    expect(await authorize(twice, settings)).toMatchObject({
      policyDocument: { Statement: [{ Effect: 'Deny' }] },
    })
  })
})

describe('the Lambda authorizer without a decision', () => {
  let pdp: ScriptedPdp
  beforeAll(async () => {
    pdp = await startScriptedPdp()
  })
  afterAll(async () => await pdp?.close())

  const broken: readonly (readonly [string, ScriptedAnswer])[] = [
    ...Object.keys(ALLOW).map((name) => [`200 without ${name}`, allowWith({ [name]: undefined })] as const),
    ['204', { ...allowWith(), status: 204 }],
    ['302', { ...allowWith(), status: 302 }],
    ['500', { ...allowWith(), status: 500 }],
    ['401 without a decision', { status: 401, headers: [] }],
    ['obligations that are no list', allowWith({ 'x-warder-obligations': '{}' })],
    ['a token to strip', allowWith({ 'x-warder-authorization': 'strip' })],
    ['a redaction', allowWith({ 'x-warder-obligations': '[{"type":"redact","properties":{}}]' })],
    ['null for an obligation', allowWith({ 'x-warder-obligations': '[null]' })],
  ]
  const settings = () => ({
    url: `http://127.0.0.1:${pdp.port}`,
    gatewayKey: 'k',
    timeoutMilliseconds: 2_000,
  })
  const headers = { authorization: 'Bearer t' }

  test('a whole one allows, so that a deny means something', async () => {
    pdp.answer = allowWith()
    expect(await authorize(httpEvent('GET', '/repos', headers), settings())).toMatchObject({
      isAuthorized: true,
    })
  })

  test.each(broken)('%s is a deny in both forms', async (_what, answer) => {
    pdp.answer = answer
    const [http, rest] = [httpEvent('GET', '/repos', headers), restEvent('GET', '/repos', headers)]
    expect(await authorize(http, settings())).toMatchObject({ isAuthorized: false })
    expect(await authorize(rest, settings())).toMatchObject({
      policyDocument: { Statement: [{ Effect: 'Deny' }] },
    })
  })

  test('nobody there is a deny', async () => {
    const nowhere = { ...settings(), url: 'http://127.0.0.1:1' }
    expect(await authorize(httpEvent('GET', '/repos', headers), nowhere)).toMatchObject({
      isAuthorized: false,
    })
  })

  test.each([undefined, null, {}, { version: '2.0' }, { version: '2.0', requestContext: { http: {} } }])(
    'an event that is none of a call is a deny: %o',
    async (event) => {
      pdp.answer = allowWith()
      pdp.forget()
      const given = await authorize(event, settings())
      if ('isAuthorized' in given) expect(given.isAuthorized).toBe(false)
      else expect(given.policyDocument.Statement[0]?.Effect).toBe('Deny')
      expect(pdp.questions).toEqual([])
    },
  )
})
