-- cargo run --release -- --script-dir examples/lua-auth --set auth.chain=tenants,internal  (then: python3 examples/lua-auth/tenant.py)
-- An auth script: users named `tenant-NAME` log in with a shared secret and may use what begins with
-- their own name, and nothing else. Everybody else is left to the next in the chain.

---@type leveret.Auth
local Tenants = { name = "tenants", mechanisms = { "PLAIN" } }

local SECRET = "open sesame"

local function tenant_of(user)
	return string.match(user, "^tenant%-(%w+)$")
end

function Tenants.authenticate(req)
	if not tenant_of(req.user) then
		return leveret.defer("not a tenant")
	end
	if req.password ~= SECRET then
		return leveret.deny("wrong secret")
	end
	return leveret.allow({ tags = { "tenant" } })
end

function Tenants.authorise(user, access)
	local tenant = tenant_of(user.name)
	if not tenant then
		return leveret.defer("not a tenant")
	end
	if access.op == "access" or access.kind == "topic" then
		return leveret.allow
	end
	if string.sub(access.name, 1, #tenant + 1) == tenant .. "." then
		return leveret.allow
	end
	if access.name == "amq.default" and access.op == "write" then
		return leveret.allow
	end
	return leveret.deny(`{access.name} is not of tenant {tenant}`)
end

return Tenants
