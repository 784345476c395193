-- What Warder's answer means for the request. Pure: reads a response, changes nothing.

local cjson = require "cjson.safe"

-- On every allow; one that lacks any of them is not Warder's.
local REQUIRED = {
  "x-decision-id", "x-warder-agent", "x-warder-user", "x-warder-tenant", "x-warder-obligations",
  "x-warder-authorization", "x-warder-reason",
}

-- Headers of the answer that are not meant for the API. Any other name is one that policies set.
local NOT_FOR_API = {
  ["authorization"] = true, ["cache-control"] = true, ["connection"] = true, ["content-length"] = true,
  ["content-type"] = true, ["date"] = true, ["dpop-nonce"] = true, ["host"] = true, ["keep-alive"] = true,
  ["retry-after"] = true, ["server"] = true, ["transfer-encoding"] = true, ["vary"] = true, ["via"] = true,
  ["www-authenticate"] = true, ["x-request-id"] = true,
}

-- For the client, on allow and deny.
local FOR_CLIENT = { "x-decision-id", "dpop-nonce", "ratelimit", "ratelimit-policy" }
-- For the client on a deny.
local FOR_DENIED = { "www-authenticate", "retry-after" }

local UNAVAILABLE = { status = 503, body = '{"error":"authorizer_unavailable"}', headers = {} }
local UNSUPPORTED = '{"decision":"deny","error":{"code":"obligation.unsupported",'
  .. '"message":"the gateway can\'t carry out an obligation of this decision"}}'

local answers = {}

-- A header that is there exactly once, not empty.
local function single(response, name)
  local value = response.headers[name]
  if type(value) == "string" and value ~= "" then
    return value
  end
  return nil
end

local function copied(response, names, into)
  for _, name in ipairs(names) do
    local value = response.headers[name]
    if value ~= nil then
      into[name] = value
    end
  end
  return into
end

-- Obligations that Warder carries out itself, and those that only announce what the headers already hold.
local EXECUTE = {
  audit = function() return true end,
  max_age = function() return true end,
  strip_authorization = function(_, plan) return plan.authorization == "strip" end,
  set_header = function(properties, plan)
    local name, value = properties.name, properties.value
    if type(name) ~= "string" or type(value) ~= "string" or NOT_FOR_API[name:lower()] then
      return false
    end
    plan.set[name:lower()] = value
    return true
  end,
  -- Warder has exchanged the token and hands it over, or nobody has and the call must not be made.
  token_exchange = function(_, plan)
    plan.set["authorization"] = plan.exchanged
    return plan.exchanged ~= nil
  end,
}

-- The obligations of an allow; nil when they can't be read.
local function obligations_of(response)
  local text = single(response, "x-warder-obligations")
  if text == "none" then
    return {}
  end
  local list = cjson.decode(text)
  if type(list) ~= "table" or #list == 0 then
    return nil
  end
  for _, obligation in ipairs(list) do
    if type(obligation) ~= "table" or type(obligation.type) ~= "string" then
      return nil
    end
  end
  return list
end

-- INVARIANT: an obligation that is unknown here, or can't be met, is a deny.
local function meet(obligations, plan)
  for _, obligation in ipairs(obligations) do
    local execute = EXECUTE[obligation.type]
    local properties = type(obligation.properties) == "table" and obligation.properties or {}
    if not execute or execute(properties, plan) ~= true then
      return false
    end
  end
  return true
end

-- Names to take from the client's request: those that only a gateway may say, those that Warder speaks about, and their aliases.
local function cleared(response, client, authorization)
  local clear = {}
  for _, name in ipairs(client.names) do
    table.insert(clear, name)
  end
  for name in pairs(response.headers) do
    if not NOT_FOR_API[name:lower()] then
      table.insert(clear, name)
      for _, alias in ipairs(client.aliases[name:lower()] or {}) do
        table.insert(clear, alias)
      end
    end
  end
  if authorization == "strip" then
    table.insert(clear, "authorization")
    table.insert(clear, "dpop")
  end
  return clear
end

local function allowed(response, client)
  for _, name in ipairs(REQUIRED) do
    if not single(response, name) then
      return nil, UNAVAILABLE, "there is no single header `" .. name .. "`"
    end
  end
  local authorization = single(response, "x-warder-authorization")
  if authorization ~= "keep" and authorization ~= "strip" then
    return nil, UNAVAILABLE, "`x-warder-authorization` is neither `keep` nor `strip`"
  end
  local obligations = obligations_of(response)
  if not obligations then
    return nil, UNAVAILABLE, "`x-warder-obligations` can't be read"
  end
  -- What the client sent goes first; then comes what Warder says.
  local plan = { set = {}, authorization = authorization, exchanged = single(response, "authorization") }
  local id = single(response, "x-decision-id")
  if not meet(obligations, plan) then
    return nil, { status = 403, body = UNSUPPORTED, headers = { ["x-decision-id"] = id } }
  end
  for _, name in ipairs(REQUIRED) do
    plan.set[name] = single(response, name)
  end
  return { set = plan.set, clear = cleared(response, client, authorization), client_headers = copied(response, FOR_CLIENT, {}) }
end

-- Reads a response: the allow, or nothing, the refusal, and why it is not a decision where it is none.
function answers.read(response, client)
  if response.status == 200 then
    return allowed(response, client)
  end
  -- Without an id nobody has decided: an unknown gateway key, overload, or a server that is not Warder.
  if not single(response, "x-decision-id") or response.status < 400 or response.status > 499 then
    return nil, UNAVAILABLE, "status " .. tostring(response.status)
  end
  local headers = copied(response, FOR_DENIED, copied(response, FOR_CLIENT, {}))
  return nil, { status = response.status, body = response.body or "", headers = headers }
end

return answers
