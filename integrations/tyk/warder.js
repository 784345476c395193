// Tyk: a JavaScript plugin that asks Warder about every request. Set it as a `pre` hook in the API definition.
//
// Not run in Tyk: its form is by Tyk's documentation; a test runs this file with a stand-in for Tyk's two functions.
//
// To adapt: the two addresses and the gateway key (`npx warder gateway add tyk --tenant demo`), and the headers that your policies
// set. Tyk's engine knows ECMAScript 5 alone. TykMakeHttpRequest has no time limit of its own: set `http_client` limits in Tyk.
var WARDER_URL = 'http://127.0.0.1:8180';
var WARDER_KEY = 'GATEWAY_KEY';
var WARDER_TOLD = ['X-Warder-Agent', 'X-Warder-User', 'X-Warder-Tenant', 'X-Warder-Obligations', 'X-Warder-Authorization', 'X-Warder-Reason', 'X-Decision-Id'];
var WARDER_SETS = ['X-Agent-Purpose'];
var WARDER_ASKED = ['Authorization', 'Dpop', 'Content-Type', 'Content-Encoding', 'Mcp-Protocol-Version', 'Mcp-Method', 'Mcp-Name', 'X-Http-Method-Override', 'X-Http-Method', 'X-Method-Override', 'X-Rewrite-Url', 'X-Warder-Agent', 'X-Warder-User', 'X-Warder-Tenant', 'X-Warder-Subject'];

function warderRefuse(request, status, body) {
  request.ReturnOverrides.ResponseCode = status;
  request.ReturnOverrides.ResponseBody = body;
  request.ReturnOverrides.ResponseHeaders = { 'Content-Type': 'application/json' };
  request.ReturnOverrides.OverrideError = true;
}

// The one value of a header; undefined when it is absent, null when it is there more than once.
function warderValue(headers, name) {
  for (var key in headers) {
    if (key.toLowerCase() !== name.toLowerCase()) continue;
    var value = headers[key];
    if (typeof value === 'string') return value;
    return value.length === 1 ? String(value[0]) : null;
  }
  return undefined;
}

function warderQuestion(request) {
  var headers = {
    'X-Warder-Gateway-Key': WARDER_KEY,
    'X-Forwarded-Method': request.Method,
    'X-Forwarded-Uri': request.URL,
    'X-Forwarded-Proto': request.Scheme || 'http'
  };
  for (var i = 0; i < WARDER_ASKED.length; i++) {
    var value = warderValue(request.Headers, WARDER_ASKED[i]);
    if (value === null) return null;
    if (value !== undefined) headers[WARDER_ASKED[i]] = value;
  }
  return { Method: 'POST', Domain: WARDER_URL, Resource: '/forward-auth', Headers: headers, Body: request.Body || '' };
}

// INVARIANT: refuses unless the answer is a whole allow.
function warderDecide(request) {
  var question = warderQuestion(request);
  if (question === null) return warderRefuse(request, 400, '{"error":"header_conflict"}');
  var answer = JSON.parse(TykMakeHttpRequest(JSON.stringify(question)));
  var id = warderValue(answer.Headers || {}, 'X-Decision-Id');
  var isDeny = answer.Code >= 400 && answer.Code <= 499;
  if (!id || (answer.Code !== 200 && !isDeny)) return warderRefuse(request, 503, '{"error":"authorizer_unavailable"}');
  if (isDeny) return warderRefuse(request, answer.Code, answer.Body);
  var authorization = warderValue(answer.Headers, 'X-Warder-Authorization');
  if (authorization !== 'keep' && authorization !== 'strip') return warderRefuse(request, 503, '{"error":"authorizer_unavailable"}');
  for (var i = 0; i < WARDER_TOLD.length; i++) {
    var told = warderValue(answer.Headers, WARDER_TOLD[i]);
    if (!told) return warderRefuse(request, 503, '{"error":"authorizer_unavailable"}');
    request.SetHeaders[WARDER_TOLD[i]] = told;
  }
  for (var j = 0; j < WARDER_SETS.length; j++) request.SetHeaders[WARDER_SETS[j]] = warderValue(answer.Headers, WARDER_SETS[j]) || 'none';
  request.DeleteHeaders.push('X-Warder-Subject', 'X-Warder-Gateway-Key', 'X-Original-Url', 'X-Original-Uri', 'X-Original-Method');
  if (authorization === 'strip') request.DeleteHeaders.push('Authorization', 'Dpop');
}

var warder = new TykJS.TykMiddleware.NewMiddleware({});

warder.NewProcessRequest(function (request, session) {
  try {
    warderDecide(request);
  } catch (error) {
    warderRefuse(request, 503, '{"error":"authorizer_unavailable"}');
  }
  return warder.ReturnData(request, session.meta_data);
});
