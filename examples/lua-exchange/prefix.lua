-- cargo run --release -- --script-dir examples/lua-exchange  (then: python3 examples/lua-exchange/countries.py)
-- An exchange type of one's own: a message goes to every queue whose binding key is the beginning
-- of its routing key.

---@type leveret.ExchangeType
local Prefix = { name = "x-prefix", pure = true }

-- Called once for each declared exchange, on each thread that routes.
function Prefix.new()
	return { bound = {} }
end

function Prefix.bind(ex, b)
	table.insert(ex.bound, { key = b.key, dest = b.dest })
end

function Prefix.unbind(ex, b)
	for i, bound in ex.bound do
		if bound.key == b.key and bound.dest == b.dest then
			table.remove(ex.bound, i)
			return
		end
	end
end

function Prefix.route(ex, key)
	local dests = {}
	for _, bound in ex.bound do
		if string.sub(key, 1, #bound.key) == bound.key then
			table.insert(dests, bound.dest)
		end
	end
	return dests
end

return Prefix
