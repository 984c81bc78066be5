-- x-lua-content: what is in a message chooses the binding key. A header and a field of a JSON body
-- are looked at; a message goes to the queues whose binding key equals either of them.
--
-- Arguments of exchange.declare:
--   x-header   name of the header (default "kind"; "" looks at none)
--   x-field    path of the field in the body, such as "order.country" (default "kind"; "" for none)
-- A queue bound with the key "#" takes every message.

---@type leveret.ExchangeType
local Content = { name = "x-lua-content" }

local function argument(args, name)
	local value = args[name]
	if value == nil then
		return "kind"
	end
	if type(value) ~= "string" then
		return nil, `{name} must be a string, not a {type(value)}`
	end
	return value ~= "" and value or false
end

function Content.new(args)
	local header, wrong = argument(args, "x-header")
	if wrong then
		return nil, wrong
	end
	local field, also_wrong = argument(args, "x-field")
	if also_wrong then
		return nil, also_wrong
	end
	return { header = header, path = field and string.split(field, "."), by_key = {} }
end

function Content.bind(ex, b)
	local dests = ex.by_key[b.key]
	if not dests then
		dests = {}
		ex.by_key[b.key] = dests
	end
	table.insert(dests, b.dest)
end

function Content.unbind(ex, b)
	local dests = ex.by_key[b.key]
	table.remove(dests, table.find(dests, b.dest))
	if #dests == 0 then
		ex.by_key[b.key] = nil
	end
end

-- The field at the end of the path, if the body is JSON that has it.
local function field_of(msg, path)
	local value = leveret.json.decode(msg:body())
	for _, name in path do
		if type(value) ~= "table" then
			return nil
		end
		value = value[name]
	end
	return value
end

-- The queues bound with what was found; numbers and truth values by their text.
local function chosen(ex, value)
	local kind = type(value)
	if kind == "string" then
		return ex.by_key[value]
	end
	if kind == "number" or kind == "integer" or kind == "boolean" then
		return ex.by_key[tostring(value)]
	end
end

function Content.route(ex, _, msg)
	local by_header = ex.header and chosen(ex, msg.headers[ex.header])
	local by_field = ex.path and chosen(ex, field_of(msg, ex.path))
	return by_header or nil, by_field or nil, ex.by_key["#"]
end

return Content
