-- KrakenD CE: asks Warder before the backends are called. In `extra_config` of the endpoint:
--
--   "modifier/lua-proxy": { "sources": ["warder.lua"], "pre": "warder()", "allow_open_libs": false }
--   "input_headers": ["Authorization", "Dpop", "Content-Type", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "X-Warder-Agent",
--                     "X-Warder-User", "X-Warder-Tenant", "X-Warder-Subject"]
--
-- Not run in KrakenD: its form is by the source of krakend-lua.
--
-- To adapt: Warder's address, the gateway key (`npx warder gateway add krakend --tenant demo`), the names of headers that your
-- policies set. KrakenD passes on only the headers that `input_headers` names. Its HTTP client has no time limit of its own and
-- follows redirects, so keep the address on a network of yours.

local URL = "http://127.0.0.1:8180/forward-auth"
local KEY = "GATEWAY_KEY"
local ASKED = {
  "Authorization", "Dpop", "Content-Type", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "X-Warder-Agent",
  "X-Warder-User", "X-Warder-Tenant", "X-Warder-Subject",
}
local TOLD = {
  "X-Decision-Id", "X-Warder-Agent", "X-Warder-User", "X-Warder-Tenant", "X-Warder-Obligations",
  "X-Warder-Authorization", "X-Warder-Reason",
}
local SETS = { "X-Agent-Purpose" }
local UNAVAILABLE = '{"error":"authorizer_unavailable"}'

-- INVARIANT: ends the request by `custom_error` unless the answer is a whole allow. An error in here does so, too.
function warder()
  local req = request.load()
  local headers = {
    ["X-Warder-Gateway-Key"] = KEY,
    ["X-Forwarded-Method"] = req:method(),
    ["X-Forwarded-Uri"] = req:path(),
  }
  for _, name in ipairs(ASKED) do
    local value = req:headers(name)
    if value ~= nil and value ~= "" then
      headers[name] = value
    end
  end
  local answer = http_response.new(URL, "POST", req:body() or "", headers)
  local status, body = answer:statusCode(), answer:body()
  local told = {}
  for _, name in ipairs(TOLD) do
    told[name] = answer:headers(name)
  end
  local set = {}
  for _, name in ipairs(SETS) do
    set[name] = answer:headers(name)
  end
  answer:close()
  if told["X-Decision-Id"] == nil or told["X-Decision-Id"] == "" then
    custom_error(UNAVAILABLE, 503, "application/json")
  end
  if status ~= 200 then
    -- KrakenD's own separator must not stand in the text of an error.
    local text = body:gsub(" || ", " ")
    custom_error(text, status >= 400 and status <= 499 and status or 503, "application/json")
  end
  for _, name in ipairs(TOLD) do
    if told[name] == nil or told[name] == "" then
      custom_error(UNAVAILABLE, 503, "application/json")
    end
  end
  local authorization = told["X-Warder-Authorization"]
  if authorization ~= "keep" and authorization ~= "strip" then
    custom_error(UNAVAILABLE, 503, "application/json")
  end
  for _, name in ipairs(TOLD) do
    req:headers(name, told[name])
  end
  for _, name in ipairs(SETS) do
    local value = set[name]
    req:headers(name, value ~= nil and value ~= "" and value or "none")
  end
  req:headers("X-Warder-Subject", "none")
  if authorization == "strip" then
    req:headers("Authorization", "")
    req:headers("Dpop", "")
  end
end
