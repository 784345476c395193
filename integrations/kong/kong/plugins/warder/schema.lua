local typedefs = require "kong.db.schema.typedefs"

return {
  name = "warder",
  fields = {
    -- Who calls is Warder's to say: a plugin that runs for some consumers only would be a way around it.
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    {
      config = {
        type = "record",
        fields = {
          -- Warder's decision listener, such as http://127.0.0.1:8180.
          { url = typedefs.url({ required = true }) },
          -- From `warder gateway add`; may be a reference to a vault, such as {vault://env/warder-gateway-key}.
          { gateway_key = { type = "string", required = true, referenceable = true, encrypted = true } },
          -- For connecting, for sending and for each wait for the answer.
          { timeout_milliseconds = { type = "integer", default = 1000, between = { 10, 60000 } } },
          -- Longest body that is shown to Warder, not above WARDER_BODY_BYTES_MAX there; longer ones are refused with 413.
          -- 0: bodies are not shown, and Warder decides on method, path and headers.
          { body_bytes_max = { type = "integer", default = 1048576, between = { 0, 16777216 } } },
          { tls_verify = { type = "boolean", default = true } },
        },
      },
    },
  },
}
