-- cargo run --release -- --script-dir examples/lua-transform --set transforms.chain=mask-card  (then: python3 examples/lua-transform/payments.py)
-- A transform: payments lose all but the last four digits of the card before anybody sees them, and
-- what is no JSON is refused. When they are delivered, a header says so.

---@type leveret.Transform
local Mask = { name = "mask-card" }

-- Tested by the broker: other messages never come here.
Mask.match = { exchange = "payments" }

function Mask.publish(msg, conn)
	local payment, wrong = leveret.json.decode(msg:body())
	if type(payment) ~= "table" then
		return leveret.reject(406, `not a payment: {wrong or "no JSON object"}`)
	end
	if type(payment.card) == "string" then
		payment.card = "****" .. string.sub(payment.card, -4)
		msg:set_body(leveret.json.encode(payment))
		msg.headers["x-paid-by"] = conn.user
	end
	return leveret.pass
end

function Mask.deliver(msg, consumer)
	msg.headers["x-shown-to"] = consumer.user
	return leveret.pass
end

return Mask
