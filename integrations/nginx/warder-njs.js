// Asks Warder about a request with its body, for nginx with njs; warder-njs.conf says where. docs/gateways/nginx.md explains it.

// What belongs to one connection, or says what only nginx may say.
const OWN = /^(?:connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|expect|host|content-length|x-warder-(?:gateway-key|obligations|authorization|reason)|x-(?:forwarded|original|ssl-client)-.*|client-cert.*)$/i
const SAID = ['agent', 'user', 'tenant', 'obligations', 'authorization', 'reason', 'revocation_epoch']

// INVARIANT: what a client says in Warder's name is never told under that name, where a gateway that may assert identity would be
// believed. It is told under an alias with underscores, which Warder denies from everybody, and so the attempt is in its log.
function toldAs(name) {
  return name.startsWith('x-warder-') ? name.replace(/-/g, '_') : name
}

async function check(r) {
  const headers = {}
  // Every header as it came; what came twice is told as twice, and Warder denies where that matters.
  r.rawHeadersIn.forEach((pair) => {
    const name = pair[0].toLowerCase()
    const told = toldAs(name)
    if (!OWN.test(name)) headers[told] = told in headers ? headers[told] + ', ' + pair[1] : pair[1]
  })
  const length = Number(r.headersIn['Content-Length'] || 0)
  let body = ''
  try {
    body = r.requestText || ''
  } catch (e) {
    return refuse(r, 413, 'request.too_large')
  }
  // A body in a file can't be shown, and so must not pass.
  if (body === '' && (length > 0 || r.headersIn['Transfer-Encoding'])) {
    if (length > 0 || r.variables.request_body_file) return refuse(r, 413, 'request.too_large')
  }
  headers['x-warder-gateway-key'] = r.variables.warder_gateway_key
  headers['x-forwarded-method'] = r.method
  headers['x-forwarded-uri'] = r.variables.request_uri
  headers['x-forwarded-proto'] = r.variables.scheme
  headers['x-forwarded-host'] = r.variables.http_host || ''
  headers['x-forwarded-for'] = r.remoteAddress
  let answer
  let text
  try {
    answer = await ngx.fetch(r.variables.warder_url, { method: 'POST', headers: headers, body: r.requestBuffer || '' })
    text = await answer.text()
  } catch (e) {
    return unavailable(r)
  }
  const id = answer.headers.get('x-decision-id')
  if (!id) return unavailable(r)
  r.headersOut['X-Decision-Id'] = id
  const nonce = answer.headers.get('dpop-nonce')
  if (nonce) r.headersOut['DPoP-Nonce'] = nonce
  if (answer.status !== 200) {
    ;['content-type', 'www-authenticate', 'retry-after', 'x-warder-reason'].forEach((name) => {
      const value = answer.headers.get(name)
      if (value) r.headersOut[name] = value
    })
    return r.return(answer.status === 401 || answer.status === 429 ? answer.status : 403, text)
  }
  r.variables.warder_decision_id = id
  SAID.forEach((name) => {
    r.variables['warder_' + name] = answer.headers.get('x-warder-' + name.replace('_', '-')) || ''
  })
  r.variables.warder_set_agent_purpose = answer.headers.get('x-agent-purpose') || ''
  return r.internalRedirect('@api')
}

function refuse(r, status, reason) {
  r.headersOut['Content-Type'] = 'application/json'
  r.return(status, JSON.stringify({ error: 'access_denied', reason: reason }))
}

function unavailable(r) {
  r.headersOut['Content-Type'] = 'application/json'
  r.return(503, '{"error":"authorizer_unavailable"}')
}

export default { check }
