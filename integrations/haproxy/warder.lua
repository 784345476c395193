-- Asks Warder about a request: `http-request lua.warder URL KEY`, with the URL of Warder's decision listener and the gateway key.
-- Belongs together with haproxy.cfg beside it, whose rule behind the action refuses whatever this file has not marked as
-- allowed: HAProxy goes on when Lua fails. Tested with HAProxy 2.6.12.

-- HAProxy 2.6 asks up to three times more when no answer comes, so that a silent Warder costs four times this.
local TIMEOUT_MILLISECONDS = 500

-- Of this connection, or told anew below. What clients send under these names is not repeated to Warder.
local NOT_REPEATED = {
  ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["proxy-authorization"] = true,
  ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["expect"] = true,
  ["host"] = true, ["content-length"] = true, ["cookie"] = true, ["forwarded"] = true,
}

-- Only this gateway may say these; they are kept from Warder and from the API.
local FORGEABLE = {
  ["x-warder-gateway-key"] = true, ["x-original-method"] = true, ["x-original-uri"] = true,
  ["x-original-url"] = true, ["x-forwarded-client-cert"] = true, ["x-ssl-client-cert"] = true,
  ["x-ssl-client-verify"] = true, ["client-cert"] = true, ["client-cert-chain"] = true,
}

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

local FOR_DENIED = { "content-type", "www-authenticate", "retry-after", "dpop-nonce", "x-decision-id" }

-- The values of one header, as HAProxy gives them: numbered from 0.
local function values_of(headers, name)
  local values = {}
  for _, value in pairs(headers[name] or {}) do
    values[#values + 1] = value
  end
  return values
end

local function single(headers, name)
  local values = values_of(headers, name)
  return #values == 1 and values[1] ~= "" and values[1] or nil
end

local function refuse(txn, status, body, headers)
  local reply = txn:reply({ status = status, body = body })
  if not headers then
    reply:add_header("Content-Type", "application/json")
  end
  for _, name in ipairs(FOR_DENIED) do
    for _, value in ipairs(headers and values_of(headers, name) or {}) do
      reply:add_header(name, value)
    end
  end
  reply:add_header("Cache-Control", "no-store")
  txn:done(reply)
end

local function unavailable(txn)
  refuse(txn, 503, '{"error":"authorizer_unavailable"}')
end

-- The whole body, or nothing and a status: a part must never be decided on as if it were all of it. Only a body with a length
-- that fits into HAProxy's buffer (tune.bufsize) is known to be whole.
local function body_of(txn, received)
  if received["transfer-encoding"] then
    return nil, 411
  end
  local announced = tonumber(single(received, "content-length") or "0")
  local body = txn.f:req_body() or ""
  if announced == nil or #body ~= announced then
    return nil, 413
  end
  return body
end

local function question_of(txn, received, key)
  local headers = {}
  for name, values in pairs(received) do
    if not NOT_REPEATED[name] and not FORGEABLE[name] and not name:find("^x%-forwarded%-") and name ~= "x-real-ip" then
      headers[name] = values_of({ [name] = values }, name)
    end
  end
  headers["x-forwarded-method"] = { txn.f:method() }
  headers["x-forwarded-uri"] = { txn.f:pathq() }
  headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  headers["x-forwarded-host"] = { single(received, "host") }
  headers["x-forwarded-for"] = { txn.f:src() }
  headers["x-warder-gateway-key"] = { key }
  return headers
end

-- Makes of the request what the decision says. False when the answer is not a whole decision.
local function apply(txn, received, answered)
  for _, name in ipairs(REQUIRED) do
    if not single(answered, name) then
      return false
    end
  end
  local authorization = single(answered, "x-warder-authorization")
  if authorization ~= "keep" and authorization ~= "strip" then
    return false
  end
  -- Many servers read `_` in a name as `-`.
  for name in pairs(received) do
    local canonical = name:gsub("_", "-")
    if FORGEABLE[canonical] or canonical:find("^x%-warder%-") or (canonical ~= name and answered[canonical]) then
      txn.http:req_del_header(name)
    end
  end
  for name in pairs(answered) do
    if not NOT_FOR_API[name] then
      txn.http:req_set_header(name, single(answered, name) or "none")
    end
  end
  if authorization == "strip" then
    txn.http:req_del_header("authorization")
    txn.http:req_del_header("dpop")
  end
  txn:set_var("txn.warder_decision_id", single(answered, "x-decision-id"))
  return true
end

local function decide(txn, url, key)
  local received = txn.http:req_get_headers()
  local body, status = body_of(txn, received)
  if not body then
    return refuse(txn, status, '{"error":"body_not_whole"}')
  end
  local answer = core.httpclient():post({
    url = url .. "/forward-auth",
    headers = question_of(txn, received, key),
    body = body,
    timeout = TIMEOUT_MILLISECONDS,
  })
  local headers = answer and answer.headers or {}
  if answer and answer.status == 200 and apply(txn, received, headers) then
    -- INVARIANT: the last line of an allow and of nothing else.
    return txn:set_var("txn.warder", "allow")
  end
  -- Without an id nobody has decided: an unknown gateway key, overload, or a server that is not Warder.
  if not answer or answer.status < 400 or answer.status > 499 or not single(headers, "x-decision-id") then
    return unavailable(txn)
  end
  return refuse(txn, answer.status, answer.body or "", headers)
end

-- `txn:done` ends the action by an error of its own, so nothing may catch errors around this: the rule in haproxy.cfg does.
core.register_action("warder", { "http-req" }, decide, 2)
