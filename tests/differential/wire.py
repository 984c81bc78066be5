"""The AMQP 0-9-1 wire format as plain Python: field tables, methods, properties and frames.

Knows bytes only: no socket, no broker, no order in which frames may come. Field values keep their
type letter (`Field('I', 5)`), so that two brokers can be compared byte type by byte type.
"""

import struct
from collections import namedtuple

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = b"\xce"

Field = namedtuple("Field", "kind value")

# Each line: name, class id, method id, then the arguments with their types.
_QUEUE_ARGS = "ticket:short queue:shortstr"
_EXCHANGE_BIND = ("ticket:short destination:shortstr source:shortstr routing_key:shortstr "
                  "nowait:bit arguments:table")
_CLOSE = "reply_code:short reply_text:shortstr class_id:short method_id:short"
_METHODS = f"""
connection.start 10 10 version_major:octet version_minor:octet server_properties:table mechanisms:longstr locales:longstr
connection.start-ok 10 11 client_properties:table mechanism:shortstr response:longstr locale:shortstr
connection.secure 10 20 challenge:longstr
connection.secure-ok 10 21 response:longstr
connection.tune 10 30 channel_max:short frame_max:long heartbeat:short
connection.tune-ok 10 31 channel_max:short frame_max:long heartbeat:short
connection.open 10 40 virtual_host:shortstr reserved_1:shortstr reserved_2:bit
connection.open-ok 10 41 reserved_1:shortstr
connection.close 10 50 {_CLOSE}
connection.close-ok 10 51
connection.blocked 10 60 reason:shortstr
connection.unblocked 10 61
connection.update-secret 10 70 new_secret:longstr reason:shortstr
connection.update-secret-ok 10 71
channel.open 20 10 reserved_1:shortstr
channel.open-ok 20 11 reserved_1:longstr
channel.flow 20 20 active:bit
channel.flow-ok 20 21 active:bit
channel.close 20 40 {_CLOSE}
channel.close-ok 20 41
access.request 30 10 realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit
access.request-ok 30 11 ticket:short
exchange.declare 40 10 ticket:short exchange:shortstr type:shortstr passive:bit durable:bit auto_delete:bit internal:bit nowait:bit arguments:table
exchange.declare-ok 40 11
exchange.delete 40 20 ticket:short exchange:shortstr if_unused:bit nowait:bit
exchange.delete-ok 40 21
exchange.bind 40 30 {_EXCHANGE_BIND}
exchange.bind-ok 40 31
exchange.unbind 40 40 {_EXCHANGE_BIND}
exchange.unbind-ok 40 51
queue.declare 50 10 {_QUEUE_ARGS} passive:bit durable:bit exclusive:bit auto_delete:bit nowait:bit arguments:table
queue.declare-ok 50 11 queue:shortstr message_count:long consumer_count:long
queue.bind 50 20 {_QUEUE_ARGS} exchange:shortstr routing_key:shortstr nowait:bit arguments:table
queue.bind-ok 50 21
queue.unbind 50 50 {_QUEUE_ARGS} exchange:shortstr routing_key:shortstr arguments:table
queue.unbind-ok 50 51
queue.purge 50 30 {_QUEUE_ARGS} nowait:bit
queue.purge-ok 50 31 message_count:long
queue.delete 50 40 {_QUEUE_ARGS} if_unused:bit if_empty:bit nowait:bit
queue.delete-ok 50 41 message_count:long
basic.qos 60 10 prefetch_size:long prefetch_count:short global:bit
basic.qos-ok 60 11
basic.consume 60 20 {_QUEUE_ARGS} consumer_tag:shortstr no_local:bit no_ack:bit exclusive:bit nowait:bit arguments:table
basic.consume-ok 60 21 consumer_tag:shortstr
basic.cancel 60 30 consumer_tag:shortstr nowait:bit
basic.cancel-ok 60 31 consumer_tag:shortstr
basic.publish 60 40 ticket:short exchange:shortstr routing_key:shortstr mandatory:bit immediate:bit
basic.return 60 50 reply_code:short reply_text:shortstr exchange:shortstr routing_key:shortstr
basic.deliver 60 60 consumer_tag:shortstr delivery_tag:longlong redelivered:bit exchange:shortstr routing_key:shortstr
basic.get 60 70 {_QUEUE_ARGS} no_ack:bit
basic.get-ok 60 71 delivery_tag:longlong redelivered:bit exchange:shortstr routing_key:shortstr message_count:long
basic.get-empty 60 72 reserved_1:shortstr
basic.ack 60 80 delivery_tag:longlong multiple:bit
basic.reject 60 90 delivery_tag:longlong requeue:bit
basic.recover-async 60 100 requeue:bit
basic.recover 60 110 requeue:bit
basic.recover-ok 60 111
basic.nack 60 120 delivery_tag:longlong multiple:bit requeue:bit
confirm.select 85 10 nowait:bit
confirm.select-ok 85 11
tx.select 90 10
tx.select-ok 90 11
tx.commit 90 20
tx.commit-ok 90 21
tx.rollback 90 30
tx.rollback-ok 90 31
"""

IDS, NAMES, ARGUMENTS = {}, {}, {}
for _line in _METHODS.strip().splitlines():
    _name, _class, _method, *_args = _line.split()
    IDS[_name] = (int(_class), int(_method))
    NAMES[IDS[_name]] = _name
    ARGUMENTS[_name] = [tuple(a.split(":")) for a in _args]

CARRIES_CONTENT = {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"}

PROPERTIES = [
    ("content_type", "shortstr"), ("content_encoding", "shortstr"), ("headers", "table"),
    ("delivery_mode", "octet"), ("priority", "octet"), ("correlation_id", "shortstr"),
    ("reply_to", "shortstr"), ("expiration", "shortstr"), ("message_id", "shortstr"),
    ("timestamp", "longlong"), ("type", "shortstr"), ("user_id", "shortstr"),
    ("app_id", "shortstr"), ("cluster_id", "shortstr"),
]

_INTEGERS = {"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q"}
_FIXED = {"t": ">?", "b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I",
          "l": ">q", "L": ">q", "T": ">Q", "f": ">f", "d": ">d"}


def _raw(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _text(raw):
    return bytes(raw).decode("utf-8", "surrogateescape")


# --- writing ---------------------------------------------------------------------------------------

def field(value):
    """The `Field` for a plain Python value: the letters that most clients choose."""
    if isinstance(value, Field):
        return value
    if isinstance(value, bool):
        return Field("t", value)
    if isinstance(value, int) and not -2**31 <= value < 2**31:
        return Field("l", value)
    kinds = {int: "I", str: "S", bytes: "S", dict: "F", list: "A", float: "d", type(None): "V"}
    return Field(kinds[type(value)], value)


def write_field(value):
    kind, value = field(value)
    letter = kind.encode()
    if kind in _FIXED:
        return letter + struct.pack(_FIXED[kind], value)
    if kind in "Sx":
        raw = _raw(value)
        return letter + struct.pack(">I", len(raw)) + raw
    if kind == "D":
        return letter + struct.pack(">BI", *value)
    if kind == "F":
        return letter + write_table(value)
    if kind == "A":
        items = b"".join(write_field(v) for v in value)
        return letter + struct.pack(">I", len(items)) + items
    return letter


def write_table(table):
    pairs = table.items() if isinstance(table, dict) else table
    body = b"".join(write_shortstr(k) + write_field(v) for k, v in pairs)
    return struct.pack(">I", len(body)) + body


def write_shortstr(text):
    raw = _raw(text)
    return struct.pack(">B", len(raw)) + raw


def write_value(kind, value):
    if kind in _INTEGERS:
        return struct.pack(_INTEGERS[kind], value or 0)
    if kind == "shortstr":
        return write_shortstr(value or "")
    if kind == "longstr":
        raw = _raw(value or "")
        return struct.pack(">I", len(raw)) + raw
    return write_table(value or {})


def write_arguments(name, args):
    """The arguments of a method; what `args` does not name is zero, empty or false."""
    out, bits, used = [], 0, 0
    for key, kind in ARGUMENTS[name]:
        if kind == "bit":
            bits |= bool(args.get(key)) << used
            used += 1
            continue
        if used:
            out.append(struct.pack(">B", bits))
            bits = used = 0
        out.append(write_value(kind, args.get(key)))
    if used:
        out.append(struct.pack(">B", bits))
    return b"".join(out)


def write_method(name, **args):
    return struct.pack(">HH", *IDS[name]) + write_arguments(name, args)


def write_properties(properties):
    flags, out = 0, []
    for position, (name, kind) in enumerate(PROPERTIES):
        if name in properties:
            flags |= 1 << (15 - position)
            out.append(write_value(kind, properties[name]))
    return struct.pack(">H", flags) + b"".join(out)


def write_content_header(body_size, properties, class_id=60):
    return struct.pack(">HHQ", class_id, 0, body_size) + write_properties(properties)


def write_frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


def method_frame(channel, name, **args):
    return write_frame(METHOD, channel, write_method(name, **args))


def publish_frames(channel, args, properties, body, frame_max=131072):
    """The frames of one publish: method, header, and as many bodies as `frame_max` asks for."""
    room = frame_max - 8
    frames = [method_frame(channel, "basic.publish", **args),
              write_frame(HEADER, channel, write_content_header(len(body), properties))]
    frames += [write_frame(BODY, channel, body[at:at + room]) for at in range(0, len(body), room)]
    return b"".join(frames)


# --- reading ---------------------------------------------------------------------------------------

class Reader:
    """Takes values one after another from the bytes of one frame."""

    def __init__(self, data):
        self.data, self.at = memoryview(data), 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise ValueError(f"frame ends {count - self.left()} bytes too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def unpack(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def value(self, kind):
        if kind in _INTEGERS:
            return self.unpack(_INTEGERS[kind])[0]
        if kind == "shortstr":
            return _text(self.take(self.unpack(">B")[0]))
        if kind == "longstr":
            return _text(self.take(self.unpack(">I")[0]))
        return self.table()

    def table(self):
        inner = Reader(self.take(self.unpack(">I")[0]))
        out = []
        while inner.left():
            out.append((inner.value("shortstr"), inner.field()))
        return out

    def field(self):
        kind = chr(self.unpack(">B")[0])
        if kind in _FIXED:
            return Field(kind, self.unpack(_FIXED[kind])[0])
        if kind in "Sx":
            return Field(kind, self.value("longstr"))
        if kind == "D":
            return Field(kind, self.unpack(">BI"))
        if kind == "F":
            return Field(kind, self.table())
        if kind == "A":
            return Field(kind, self.array())
        if kind == "V":
            return Field(kind, None)
        raise ValueError(f"unknown field type {kind!r}")

    def array(self):
        inner = Reader(self.take(self.unpack(">I")[0]))
        out = []
        while inner.left():
            out.append(inner.field())
        return out


def read_method(payload):
    """(name, arguments) of a method frame's payload."""
    reader = Reader(payload)
    name = NAMES[reader.unpack(">HH")]
    args, bits, used = {}, 0, 8
    for key, kind in ARGUMENTS[name]:
        if kind != "bit":
            args[key], used = reader.value(kind), 8
            continue
        if used == 8:
            bits, used = reader.unpack(">B")[0], 0
        args[key] = bool(bits >> used & 1)
        used += 1
    if reader.left():
        raise ValueError(f"{name}: {reader.left()} bytes too many")
    return name, args


def read_content_header(payload):
    """(body size, properties) of a content header's payload."""
    reader = Reader(payload)
    _class_id, _weight, size, flags = reader.unpack(">HHQH")
    properties = {name: reader.value(kind) for position, (name, kind) in enumerate(PROPERTIES)
                  if flags & 1 << (15 - position)}
    return size, properties
