---@meta leveret
-- Types of Leveret's script API for editors that understand LuaCATS annotations. Scripts run in
-- Luau. Give this folder to your editor as a library and put `---@type leveret.ExchangeType` (or
-- Transform, Auth) above the table that your script returns.

---A destination of a binding: a number that stands for a queue or an exchange.
---@alias leveret.Dest integer

---@class leveret.Binding
---@field key string binding key
---@field dest leveret.Dest return it from `route` to send a message there
---@field name string name of the queue or exchange
---@field to_exchange boolean whether it is an exchange
---@field args table<string, any> arguments of the binding

---An exchange type. `ex` is what `new` returned: state of one declared exchange in one VM. It must
---be a function of `new` and the bindings alone, since each thread has a VM of its own.
---@class leveret.ExchangeType
---@field name string the type that clients declare
---@field kind? "exchange"
---@field pure? boolean routes depend on bindings and routing key alone, so that they may be kept
---@field new? fun(args: table<string, any>, config: any): any?, string? nil and a text refuse the declaration
---@field validate? fun(ex: any, binding: leveret.Binding): boolean?, string? nil and a text refuse the binding
---@field bind fun(ex: any, binding: leveret.Binding)
---@field unbind? fun(ex: any, binding: leveret.Binding) without it the state is built anew
---@field route fun(ex: any, key: string, msg: leveret.Message): leveret.Dest|leveret.Dest[]|nil, ... nothing: unroutable

---@class leveret.Match names may end in `*`
---@field exchange? string
---@field queue? string deliver only
---@field routing_key? string
---@field content_type? string
---@field user? string
---@field header? string a header that must be there

---A transform of messages. Both functions return a verdict.
---@class leveret.Transform
---@field name string
---@field kind? "transform"
---@field match? leveret.Match tested before the script is asked
---@field on_error? "reject"|"pass"|"drop" what a failure means for the message (reject)
---@field publish? fun(msg: leveret.Message, conn: leveret.Connection, config: any): leveret.Verdict
---@field deliver? fun(msg: leveret.Message, consumer: leveret.Connection, config: any): leveret.Verdict

---An auth plugin. Errors and timeouts deny.
---@class leveret.Auth
---@field name string
---@field kind? "auth"
---@field mechanisms? string[] SASL mechanisms that it understands; others are deferred
---@field authenticate? fun(req: leveret.Login, config: any): leveret.Verdict
---@field authorise? fun(user: { name: string }, access: leveret.Access, config: any): leveret.Verdict

---@class leveret.Login
---@field mechanism string
---@field user string
---@field password string
---@field peer string address

---@class leveret.Access
---@field op "access"|"configure"|"write"|"read"
---@field kind "vhost"|"exchange"|"queue"|"topic"
---@field name string of the vhost, exchange or queue; the default exchange is `amq.default`
---@field routing_key? string of a topic exchange
---@field vhost string
---@field peer string address

---@class leveret.Connection
---@field user string
---@field vhost string
---@field peer? string address
---@field queue? string deliver only

---A message, valid during the call that it was given to. Fields are read when they are asked for.
---In a pure script only `routing_key`, `exchange` and `vhost` may be.
---@class leveret.Message
---@field routing_key string
---@field exchange string
---@field vhost string
---@field user string who published (publish) or consumes (deliver)
---@field peer? string address
---@field queue? string deliver only
---@field mandatory boolean
---@field redelivered boolean
---@field body_size integer bytes
---@field headers table<string, any> transforms may assign; nil removes; `for name, value in msg.headers do`
---@field properties leveret.Properties transforms may assign; nil removes
local Message = {}
---The body as a string.
---@return string
function Message:body() end
---The body as a buffer, which is cheaper for large ones.
---@return buffer
function Message:body_buffer() end
---Transforms only.
---@param body string|buffer
function Message:set_body(body) end
---Transforms only.
---@param key string at most 255 bytes
function Message:set_routing_key(key) end

---@class leveret.Properties
---@field content_type? string
---@field content_encoding? string
---@field delivery_mode? integer 1 transient, 2 persistent
---@field priority? integer
---@field correlation_id? string
---@field reply_to? string
---@field expiration? string milliseconds, in digits
---@field message_id? string
---@field timestamp? integer seconds since 1970
---@field type? string
---@field user_id? string
---@field app_id? string
---@field cluster_id? string

---@class leveret.Verdict

leveret = {}

---Transforms: the message goes on, with its changes.
---@type leveret.Verdict
leveret.pass = {}
---Transforms: the message disappears and is counted. `return leveret.drop` or with a reason.
---@param reason? string
---@return leveret.Verdict
function leveret.drop(reason) end
---Transforms: the message is refused. Without a code it is 406.
---@param code integer|string
---@param text? string
---@return leveret.Verdict
function leveret.reject(code, text) end
---Auth: yes. `return leveret.allow`, or with a user name and tags.
---@param options? { user: string?, tags: string[]? }
---@return leveret.Verdict
function leveret.allow(options) end
---Auth: no. The reason is for the log.
---@param reason? string
---@return leveret.Verdict
function leveret.deny(reason) end
---Auth: somebody else may know. When all defer the answer is no.
---@param reason? string
---@return leveret.Verdict
function leveret.defer(reason) end

---As `math.random`. Not in pure scripts.
---@param from? integer
---@param to? integer
---@return number
function leveret.random(from, to) end

---What JSON calls null and AMQP void.
leveret.null = nil
---Version of the broker.
---@type string
leveret.version = ""

leveret.hash = {}
---@param text string|buffer
---@return integer
function leveret.hash.crc32(text) end
---@param text string|buffer
---@return integer
function leveret.hash.fnv1a(text) end
---@param text string|buffer
---@param seed? integer
---@return integer
function leveret.hash.xxh32(text, seed) end

leveret.json = {}
---The value, or nil and why not. Integers beyond 2^53 become `integer` values.
---@param text string|buffer
---@return any, string?
function leveret.json.decode(text) end
---@param value any
---@return string
function leveret.json.encode(value) end
---Marks a table that is an array even when it is empty.
---@param table? table
---@return table
function leveret.json.array(table) end

leveret.log = {}
function leveret.log.error(...) end
function leveret.log.warn(...) end
function leveret.log.info(...) end
function leveret.log.debug(...) end
function leveret.log.trace(...) end

return leveret
