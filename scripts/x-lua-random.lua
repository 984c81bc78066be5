-- x-lua-random: sends each message to one of the queues bound to it, chosen at random.
-- Binding keys are ignored, and a queue that is bound twice counts once.

---@type leveret.ExchangeType
local Random = { name = "x-lua-random" }

local random = leveret.random

function Random.new()
	return { dests = {}, bindings = {} }
end

function Random.bind(ex, b)
	local count = ex.bindings[b.dest] or 0
	ex.bindings[b.dest] = count + 1
	if count == 0 then
		table.insert(ex.dests, b.dest)
	end
end

function Random.unbind(ex, b)
	local count = ex.bindings[b.dest] - 1
	ex.bindings[b.dest] = count > 0 and count or nil
	if count == 0 then
		table.remove(ex.dests, table.find(ex.dests, b.dest))
	end
end

function Random.route(ex)
	local dests = ex.dests
	local count = #dests
	if count > 0 then
		return dests[random(count)]
	end
end

return Random
