-- x-lua-shard: spreads messages over the queues bound to it by a hash of the routing key.
-- The same key always goes to the same queue. Binding keys are ignored: queues count in the order
-- of their names, and a queue that is bound twice counts once.

---@type leveret.ExchangeType
local Shard = { name = "x-lua-shard", pure = true }

local crc32 = leveret.hash.crc32

function Shard.new()
	return { queues = {}, dests = {}, bindings = {} }
end

-- Where a queue stands, or would stand, among the names.
local function place_of(ex, b)
	local low, high = 1, #ex.queues
	while low <= high do
		local middle = (low + high) // 2
		local other = ex.queues[middle]
		if other.name < b.name or other.name == b.name and other.dest < b.dest then
			low = middle + 1
		else
			high = middle - 1
		end
	end
	return low
end

function Shard.bind(ex, b)
	local count = ex.bindings[b.dest] or 0
	ex.bindings[b.dest] = count + 1
	if count == 0 then
		local place = place_of(ex, b)
		table.insert(ex.queues, place, { name = b.name, dest = b.dest })
		table.insert(ex.dests, place, b.dest)
	end
end

function Shard.unbind(ex, b)
	local count = ex.bindings[b.dest] - 1
	if count > 0 then
		ex.bindings[b.dest] = count
		return
	end
	ex.bindings[b.dest] = nil
	local place = place_of(ex, b)
	table.remove(ex.queues, place)
	table.remove(ex.dests, place)
end

function Shard.route(ex, key)
	local dests = ex.dests
	return dests[crc32(key) % #dests + 1]
end

return Shard
