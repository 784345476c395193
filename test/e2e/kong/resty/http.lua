-- What the plugin uses of lua-resty-http, which comes with Kong, over ngx_lua's sockets. Plain HTTP/1.1, answers with a length.

local http = {}
http.__index = http

function http.new()
  return setmetatable({ socket = ngx.socket.tcp() }, http)
end

function http:set_timeouts(connect, send, read)
  self.socket:settimeouts(connect, send, read)
end

local function head(params, host)
  local lines = { params.method .. " " .. params.path .. " HTTP/1.1", "Host: " .. host }
  for name, value in pairs(params.headers) do
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. each
    end
  end
  lines[#lines + 1] = "Content-Length: " .. #params.body
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function receive_headers(socket)
  local headers = setmetatable({}, {
    __index = function(all, name) return rawget(all, name:lower()) end,
  })
  while true do
    local line, fault = socket:receive("*l")
    if not line then
      return nil, fault
    end
    if line == "" then
      return headers
    end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if not name then
      return nil, "broken header"
    end
    name = name:lower()
    local before = rawget(headers, name)
    if before == nil then
      headers[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      headers[name] = { before, value }
    end
  end
end

local function exchange(socket, params, host)
  local sent, fault = socket:send(head(params, host) .. params.body)
  if not sent then
    return nil, fault
  end
  local line
  line, fault = socket:receive("*l")
  local status = line and tonumber(line:match("^HTTP/1%.[01] (%d%d%d)"))
  if not status then
    return nil, fault or "not HTTP"
  end
  local headers
  headers, fault = receive_headers(socket)
  if not headers then
    return nil, fault
  end
  local body
  body, fault = socket:receive(tonumber(headers["content-length"]) or 0)
  if not body then
    return nil, fault
  end
  return { status = status, headers = headers, body = body }
end

function http:request_uri(uri, params)
  local host, port, path = uri:match("^http://([^:/]+):(%d+)(/.*)$")
  local connected, fault = self.socket:connect(host, tonumber(port))
  if not connected then
    return nil, fault
  end
  params.path = path
  local response
  response, fault = exchange(self.socket, params, host .. ":" .. port)
  if response and response.headers["connection"] ~= "close" then
    self.socket:setkeepalive(params.keepalive_timeout, params.keepalive_pool)
  else
    self.socket:close()
  end
  return response, fault
end

return http
