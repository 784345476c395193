-- Asks Warder about every request and lets none pass without its word. docs/gateways/kong.md says how to use it.

local answers = require "kong.plugins.warder.answers"
local question = require "kong.plugins.warder.question"

local UNAVAILABLE = { status = 503, body = '{"error":"authorizer_unavailable"}', headers = {} }

-- After the plugins that authenticate consumers, before those that count requests.
local Warder = { PRIORITY = 940, VERSION = "0.1.0" }

-- Ends the request. What this gateway says itself has no decision id.
local function refuse(refusal)
  local headers = { ["Content-Type"] = "application/json", ["Cache-Control"] = "no-store" }
  for name, value in pairs(refusal.headers) do
    headers[name] = value
  end
  return kong.response.exit(refusal.status, refusal.body, headers)
end

-- Makes of the request what the decision says. Everything was checked before: nothing in here may fail half way.
local function apply(allow)
  local request = kong.service.request
  for _, name in ipairs(allow.clear) do
    request.clear_header(name)
  end
  for name, value in pairs(allow.set) do
    request.set_header(name, value)
  end
  kong.ctx.plugin.client_headers = allow.client_headers
end

-- What to do with this request: `allow` or `refusal`, never neither.
local function decide(conf)
  local asked, refusal = question.read(conf)
  if not asked then
    return nil, refusal
  end
  local response, fault = question.ask(conf, asked)
  if not response then
    kong.log.err("Warder did not answer: ", fault)
    return nil, UNAVAILABLE
  end
  local allow, denied, problem = answers.read(response, asked.client)
  if problem then
    kong.log.err("Warder's answer is no decision: ", problem)
  end
  return allow, denied
end

-- INVARIANT: the request goes on only behind `allow`. A fault in here, of whatever kind, is 503.
function Warder:access(conf)
  local ok, allow, refusal = pcall(decide, conf)
  if not ok then
    kong.log.err("the plugin failed: ", allow)
    return refuse(UNAVAILABLE)
  end
  if allow == nil then
    return refuse(refusal or UNAVAILABLE)
  end
  local applied, fault = pcall(apply, allow)
  if not applied then
    kong.log.err("the decision could not be carried out: ", fault)
    return refuse(UNAVAILABLE)
  end
end

-- The client learns under which id its request was decided.
function Warder:header_filter()
  for name, value in pairs(kong.ctx.plugin.client_headers or {}) do
    kong.response.set_header(name, value)
  end
end

return Warder
