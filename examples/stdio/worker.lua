-- SPDX-License-Identifier: MIT
-- A worker in Lua, with streams and cancellation.
--
--   pools: [{ runtime: stdio, command: [lua5.4, worker.lua] }]
local json = require("dkjson")

io.stdout:setvbuf("line")

local function say(answer)
  io.write(json.encode(answer), "\n")
end

local tools = {}

function tools.add(args)
  return args.a + args.b
end

function tools.primes(args, chunk)
  local found = {}
  for n = 2, args.below - 1 do
    local prime = true
    for _, p in ipairs(found) do
      if n % p == 0 then prime = false break end
    end
    if prime then
      found[#found + 1] = n
      chunk(n)
    end
  end
end

for line in io.lines() do
  local call = json.decode(line)
  if call.describe then
    say({ tools = { { name = "add" }, { name = "primes", stream = true } } })
  else
    local function chunk(value) say({ id = call.id, chunk = value }) end
    local ok, result = pcall(tools[call.tool], call.args, chunk)
    if not ok then
      say({ id = call.id, error = { type = "LuaError", message = tostring(result) } })
    elseif call.stream then
      say({ id = call.id, ["end"] = true })
    else
      say({ id = call.id, result = result })
    end
  end
end
