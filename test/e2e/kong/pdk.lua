-- What the plugin uses of Kong's PDK, by its documentation, over plain ngx_lua. It is strict where Kong is: wrong types raise, and
-- a body that nginx wrote into a file is read only when a size was named.

local cjson = require "cjson.safe"

local pdk = {}
local PRESENT = { string = true, number = true, boolean = true }

local function header_name(name)
  if type(name) ~= "string" or name == "" then
    error("invalid header name: got " .. type(name), 3)
  end
end

local function header_value(value)
  if type(value) == "table" then
    for _, each in ipairs(value) do
      header_value(each)
    end
  elseif not PRESENT[type(value)] then
    error("invalid header value: got " .. type(value), 3)
  end
end

local request = {}

function request.get_headers(max)
  return ngx.req.get_headers(max)
end

function request.get_header(name)
  local value = ngx.req.get_headers()[name]
  return type(value) == "table" and value[1] or value
end

function request.get_method()
  return ngx.req.get_method()
end

function request.get_scheme()
  return ngx.var.scheme
end

function request.get_raw_path()
  return (ngx.var.request_uri:gsub("%?.*$", ""))
end

function request.get_raw_query()
  return ngx.var.args or ""
end

function request.get_raw_body(file_size_max)
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if body then
    return body
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ""
  end
  if not file_size_max or pdk.is_old then
    return nil, "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'"
  end
  local file = assert(io.open(path, "rb"))
  local size = file:seek("end")
  if size > file_size_max then
    file:close()
    return nil, "request body file too big"
  end
  file:seek("set")
  body = file:read("*a")
  file:close()
  return body
end

local function exit(status, body, headers)
  if type(status) ~= "number" then
    error("code must be a number", 2)
  end
  ngx.status = status
  for name, value in pairs(headers or {}) do
    header_name(name)
    ngx.header[name] = value
  end
  if type(body) == "table" then
    body = cjson.encode(body)
  end
  ngx.header["Content-Length"] = #(body or "")
  ngx.print(body or "")
  return ngx.exit(status)
end

local function log(level)
  return function(...)
    ngx.log(level, ...)
  end
end

-- Makes the global `kong`, loads the plugin as Kong does and gives its configuration the defaults of its schema.
function pdk.start(conf)
  _G.kong = {
    request = request,
    client = { get_forwarded_ip = function() return ngx.var.remote_addr end },
    service = {
      request = {
        set_header = function(name, value)
          header_name(name)
          header_value(value)
          ngx.req.set_header(name, value)
        end,
        clear_header = function(name)
          header_name(name)
          ngx.req.clear_header(name)
        end,
      },
    },
    response = {
      exit = exit,
      set_header = function(name, value)
        header_name(name)
        header_value(value)
        ngx.header[name] = value
      end,
    },
    log = { err = log(ngx.ERR), warn = log(ngx.WARN) },
    ctx = {
      plugin = setmetatable({}, {
        __index = function(_, name) return (ngx.ctx.plugin or {})[name] end,
        __newindex = function(_, name, value)
          ngx.ctx.plugin = ngx.ctx.plugin or {}
          ngx.ctx.plugin[name] = value
        end,
      }),
    },
  }
  pdk.is_old = conf.is_old
  conf.is_old = nil
  package.loaded["kong.db.schema.typedefs"] = {
    no_consumer = { type = "foreign" },
    protocols_http = { type = "set" },
    url = function(given) given.type = "string" return given end,
  }
  pdk.plugin = require "kong.plugins.warder.handler"
  pdk.conf = pdk.filled(require "kong.plugins.warder.schema", conf)
end

-- `conf` with the defaults of the schema. Raises for what the schema refuses: unknown, missing, wrong type, out of range.
function pdk.filled(schema, conf)
  local fields
  for _, field in ipairs(schema.fields) do
    fields = field.config and field.config.fields or fields
  end
  local filled = {}
  for _, field in ipairs(fields) do
    local name, rule = next(field)
    local value = conf[name]
    conf[name] = nil
    if value == nil then
      value = rule.default
    end
    local kind = rule.type == "integer" and "number" or rule.type
    assert(value ~= nil or not rule.required, name .. ": required field missing")
    assert(value == nil or type(value) == kind, name .. ": expected a " .. rule.type)
    if rule.between then
      assert(value >= rule.between[1] and value <= rule.between[2], name .. ": out of range")
    end
    filled[name] = value
  end
  local unknown = next(conf)
  assert(unknown == nil, tostring(unknown) .. ": unknown field")
  return filled
end

function pdk.access()
  -- Kong ends a request whose plugin fails with 500.
  local ok, fault = pcall(pdk.plugin.access, pdk.plugin, pdk.conf)
  if not ok then
    ngx.log(ngx.ERR, fault)
    return ngx.exit(500)
  end
end

function pdk.header_filter()
  pdk.plugin:header_filter(pdk.conf)
end

return pdk
