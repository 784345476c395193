-- What Warder is asked: the call as the client sent it.

local http = require "resty.http"

-- More headers than this are not read; the rest would be unseen, so such a request is refused.
local HEADERS_MAX = 200
-- Shorter than Warder keeps a connection open (65 s), so that none is used that it has just closed.
local KEEPALIVE_MILLISECONDS = 30000
local KEEPALIVE_POOL = 64

-- Of this connection, or told anew below. What clients send under these names is not repeated to Warder.
local NOT_REPEATED = {
  ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["proxy-authorization"] = true,
  ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["expect"] = true,
  ["http2-settings"] = true, ["host"] = true, ["content-length"] = true, ["cookie"] = true, ["forwarded"] = true,
  ["x-forwarded-for"] = true, ["x-forwarded-host"] = true, ["x-forwarded-method"] = true,
  ["x-forwarded-path"] = true, ["x-forwarded-port"] = true, ["x-forwarded-prefix"] = true,
  ["x-forwarded-proto"] = true, ["x-forwarded-uri"] = true, ["x-real-ip"] = true,
}

-- Only this gateway, or Warder, may say these; they are kept from Warder and from the API.
local FORGEABLE = {
  ["x-warder-gateway-key"] = true, ["x-warder-obligations"] = true, ["x-warder-authorization"] = true,
  ["x-warder-reason"] = true, ["x-original-method"] = true, ["x-original-uri"] = true,
  ["x-original-url"] = true, ["x-original-content-length"] = true, ["x-forwarded-client-cert"] = true,
  ["x-ssl-client-cert"] = true, ["x-ssl-client-verify"] = true, ["client-cert"] = true,
  ["client-cert-chain"] = true,
}

local question = {}

-- Under which name Warder is told of a client's header.
-- INVARIANT: what a client says in Warder's name is never told under that name, where a gateway that may assert identity would be
-- believed. It is told under an alias with underscores, which Warder denies from everybody, and so the attempt is in its log.
local function told_as(key)
  return key:find("^x%-warder%-") and key:gsub("-", "_") or key
end

local function refusal(status, code)
  return { status = status, body = '{"error":"' .. code .. '"}', headers = {} }
end

-- The whole body, or nothing and why: a part of a body must never be decided on as if it were all of it.
local function body_of(conf)
  if conf.body_bytes_max == 0 then
    return ""
  end
  local announced = tonumber(kong.request.get_header("content-length"))
  if announced and announced > conf.body_bytes_max then
    return nil, refusal(413, "request_too_large")
  end
  -- With a size a body is also read when nginx has put it into a file; a Kong that knows no size gives nothing then.
  local body = kong.request.get_raw_body(conf.body_bytes_max)
  if type(body) ~= "string" or #body > conf.body_bytes_max then
    return nil, refusal(413, "request_too_large")
  end
  if announced and announced ~= #body then
    return nil, refusal(400, "request_incomplete")
  end
  return body
end

local function target_of()
  local query = kong.request.get_raw_query()
  local path = kong.request.get_raw_path()
  return query ~= nil and query ~= "" and path .. "?" .. query or path
end

-- The client's headers for Warder, and those that the API must not get from the client: `names`, and in `aliases` the names
-- with an underscore by what many servers read them as.
local function headers_of(conf)
  local received, fault = kong.request.get_headers(HEADERS_MAX)
  if fault ~= nil then
    return nil, nil, refusal(431, "too_many_headers")
  end
  local headers, client = {}, { names = {}, aliases = {} }
  for name, value in pairs(received) do
    local key = string.lower(name)
    local canonical = key:gsub("_", "-")
    if canonical ~= key then
      client.aliases[canonical] = client.aliases[canonical] or {}
      table.insert(client.aliases[canonical], name)
    end
    if FORGEABLE[key] then
      table.insert(client.names, name)
    elseif not NOT_REPEATED[key] then
      headers[told_as(key)] = value
      if key:find("^x[-_]warder[-_]") or key == "x-decision-id" then
        table.insert(client.names, name)
      end
    end
  end
  headers["x-forwarded-method"] = kong.request.get_method()
  headers["x-forwarded-uri"] = target_of()
  headers["x-forwarded-proto"] = kong.request.get_scheme()
  headers["x-forwarded-host"] = kong.request.get_header("host")
  headers["x-forwarded-for"] = kong.client.get_forwarded_ip()
  local certificate = ngx.var.ssl_client_escaped_cert
  if certificate ~= nil and certificate ~= "" then
    headers["x-ssl-client-cert"] = certificate
    headers["x-ssl-client-verify"] = ngx.var.ssl_client_verify
  end
  headers["x-warder-gateway-key"] = conf.gateway_key
  return headers, client
end

-- Reads the request: `{ headers, body, client }`, or nothing and the refusal.
function question.read(conf)
  local headers, client, unread = headers_of(conf)
  if not headers then
    return nil, unread
  end
  local body, refused = body_of(conf)
  if not body then
    return nil, refused
  end
  return { headers = headers, body = body, client = client }
end

-- Sends the question; gives the response, or nothing and why. The request that was asked about is not repeated: a proof of
-- possession that came twice would count as replayed.
function question.ask(conf, asked)
  local connection, fault = http.new()
  if not connection then
    return nil, fault
  end
  connection:set_timeouts(conf.timeout_milliseconds, conf.timeout_milliseconds, conf.timeout_milliseconds)
  return connection:request_uri((conf.url:gsub("/+$", "")) .. "/forward-auth", {
    method = "POST",
    headers = asked.headers,
    body = asked.body,
    ssl_verify = conf.tls_verify,
    keepalive_timeout = KEEPALIVE_MILLISECONDS,
    keepalive_pool = KEEPALIVE_POOL,
  })
end

return question
