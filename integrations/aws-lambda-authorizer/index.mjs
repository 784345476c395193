// AWS Lambda authorizer that asks Warder: for HTTP APIs (payload format 2.0, simple responses) and REST APIs (REQUEST). No
// dependencies; upload this file as it is, handler `index.handler`, Node.js 22 or newer.
//
// Environment: WARDER_URL (its decision listener), WARDER_GATEWAY_KEY (from `warder gateway add`), WARDER_TIMEOUT_MILLISECONDS
// (default 1000). Tested with events of AWS' documented form against a real Warder; not run in AWS. docs/gateways/aws.md says how
// to set the API up: above all without caching of results.

const REQUIRED = ['agent', 'user', 'tenant', 'obligations', 'authorization', 'reason']
// An authorizer can hand on values, but neither take a header away nor exchange a token.
const CARRIED_OUT_BY_WARDER = new Set(['audit', 'max_age'])
// What clients send under these names is not repeated to Warder: of a connection, or told anew.
const NOT_REPEATED =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|host|content-length|content-encoding|cookie|forwarded|via|x-forwarded-.*|x-amz.*|x-real-ip|x-original-(?:method|uri|url|content-length)|x-warder-(?:gateway-key|obligations|authorization|reason)|x-ssl-client-.*|client-cert.*)$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** The handler that AWS calls. */
export const handler = (event) => authorize(event, settingsOf(process.env))

/**
 * Asks Warder about the call that `event` describes.
 *
 * INVARIANT: whatever goes wrong is a deny. It resolves with a denying answer in the form that the event asks for, and rejects
 * only with `Unauthorized`, which API Gateway answers with 401.
 */
export async function authorize(event, settings) {
  let outcome
  try {
    outcome = await ask(event, settings)
  } catch {
    outcome = { allowed: false, status: 503, context: { reason: 'authorizer_unavailable' } }
  }
  const { allowed, status, context } = outcome
  if (event?.version === '2.0') return { isAuthorized: allowed, context }
  if (!allowed && status === 401) throw new Error('Unauthorized')
  // INVARIANT: the policy names the one method that was asked about, never a pattern: API Gateway may keep it.
  return {
    principalId: context.agent ?? 'unknown',
    policyDocument: {
      Version: '2012-10-17',
      Statement: [
        { Action: 'execute-api:Invoke', Effect: allowed ? 'Allow' : 'Deny', Resource: event?.methodArn ?? '*' },
      ],
    },
    context,
  }
}

function settingsOf(env) {
  return {
    url: env['WARDER_URL'] ?? '',
    gatewayKey: env['WARDER_GATEWAY_KEY'] ?? '',
    timeoutMilliseconds: Number(env['WARDER_TIMEOUT_MILLISECONDS'] ?? 1000),
  }
}

// INVARIANT: what a client says in Warder's name is never told under that name, where a gateway that may assert identity would be
// believed. It is told under an alias with underscores, which Warder denies from everybody, and so the attempt is in its log.
function toldAs(name) {
  return name.startsWith('x-warder-') ? name.replaceAll('-', '_') : name
}

async function ask(event, { url, gatewayKey, timeoutMilliseconds }) {
  const { method, target, host, sourceIp, headers } = callOf(event)
  const response = await fetch(`${url.replace(/\/+$/, '')}/forward-auth`, {
    method: 'POST',
    headers: [
      ...headers
        .filter(([name]) => HEADER_NAME.test(name) && !NOT_REPEATED.test(name))
        .map(([name, value]) => [toldAs(name), value]),
      ['x-warder-gateway-key', gatewayKey],
      ['x-forwarded-method', method],
      ['x-forwarded-uri', target],
      ['x-forwarded-host', host],
      ['x-forwarded-proto', 'https'],
      ['x-forwarded-for', sourceIp],
    ],
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMilliseconds),
  })
  await response.arrayBuffer()
  const decisionId = response.headers.get('x-decision-id') ?? ''
  if (response.status !== 200 || decisionId === '') return refusal(response, decisionId)
  return allowOf(response.headers, decisionId)
}

/** The call as the client sent it. Throws for an event that is none of a call. */
function callOf(event) {
  const isHttpApi = event.version === '2.0'
  const { requestContext } = event
  const call = isHttpApi
    ? {
        method: requestContext.http.method,
        // `rawPath` begins with the stage unless that is the default one, as the client's path does.
        path: event.rawPath,
        query: event.rawQueryString,
        sourceIp: requestContext.http.sourceIp,
      }
    : {
        method: requestContext.httpMethod,
        path: requestContext.path,
        query: queryOf(event.multiValueQueryStringParameters),
        sourceIp: requestContext.identity.sourceIp,
      }
  for (const [name, value] of Object.entries(call))
    if (typeof value !== 'string' || (name !== 'query' && value === '')) throw new TypeError(`no ${name}`)
  return {
    method: call.method,
    target: call.query === '' ? call.path : `${call.path}?${call.query}`,
    host: requestContext.domainName,
    sourceIp: call.sourceIp,
    headers: headersOf(event),
  }
}

/** Every header with every value. HTTP APIs join repeats with a comma; Warder refuses a joined `Authorization`. */
function headersOf({ headers, multiValueHeaders }) {
  const single = Object.entries(headers ?? {}).map(([name, value]) => [name, [value]])
  const all = multiValueHeaders ? Object.entries(multiValueHeaders) : single
  return all.flatMap(([name, values]) => values.map((value) => [name.toLowerCase(), value]))
}

/** API Gateway decodes the query of REST APIs; it is spelt anew, so that proofs about the exact URL hold for plain ones only. */
function queryOf(parameters) {
  const pairs = Object.entries(parameters ?? {}).flatMap(([name, values]) => values.map((value) => [name, value]))
  return new URLSearchParams(pairs).toString()
}

/** INVARIANT: a 200 that lacks anything which Warder always says, or asks for what can't be done here, is a deny. */
function allowOf(answered, decisionId) {
  const said = Object.fromEntries(REQUIRED.map((name) => [name, answered.get(`x-warder-${name}`) ?? '']))
  if (Object.values(said).some((value) => value === '')) throw new TypeError('not a whole decision')
  const obligations = said.obligations === 'none' ? [] : JSON.parse(said.obligations)
  if (!Array.isArray(obligations)) throw new TypeError('obligations are no list')
  const unmet = obligations.filter(({ type }) => !CARRIED_OUT_BY_WARDER.has(type) && type !== 'set_header')
  if (unmet.length > 0 || said.authorization !== 'keep')
    return { allowed: false, status: 403, context: { reason: 'obligation.unsupported', decisionId } }
  const { agent, user, tenant } = said
  const context = { decisionId, agent, user, tenant, reason: said.reason, obligations: said.obligations }
  // For mappings such as `$context.authorizer.set_x_agent_purpose`.
  for (const { type, properties } of obligations)
    if (type === 'set_header') context[`set_${properties.name.toLowerCase().replaceAll('-', '_')}`] = properties.value
  return { allowed: true, status: 200, context }
}

function refusal(response, decisionId) {
  const isDecision = response.status >= 400 && response.status <= 499 && decisionId !== ''
  if (!isDecision) throw new Error(`Warder answered ${response.status}`)
  const reason = response.headers.get('x-warder-reason') ?? 'denied'
  return { allowed: false, status: response.status, context: { reason, decisionId } }
}
