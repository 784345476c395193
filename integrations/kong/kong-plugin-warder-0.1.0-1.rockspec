package = "kong-plugin-warder"
version = "0.1.0-1"
source = { url = "file://." }
description = {
  summary = "Asks Warder about every request, and lets none pass without its word.",
  license = "Apache-2.0",
}
-- lua-resty-http and lua-cjson come with Kong.
dependencies = { "lua >= 5.1" }
build = {
  type = "builtin",
  modules = {
    ["kong.plugins.warder.answers"] = "kong/plugins/warder/answers.lua",
    ["kong.plugins.warder.handler"] = "kong/plugins/warder/handler.lua",
    ["kong.plugins.warder.question"] = "kong/plugins/warder/question.lua",
    ["kong.plugins.warder.schema"] = "kong/plugins/warder/schema.lua",
  },
}
