"""What a broker has to refuse, and in which words: one entry per situation, by RabbitMQ's own texts.

A situation is a short program and what its last step must bring. `errors.py` checks them against
Leveret alone, `run.py` plays them on both brokers. The numbers group what belongs together.
"""

from dataclasses import dataclass, field

import wire
from connection import Event
from program import Step, on, publish, raw
from wire import Field

a1, a2, b1, lim = on("a", 1), on("a", 2), on("b", 1), on("lim", 1)


@dataclass
class Situation:
    number: int
    title: str
    steps: list
    expect: dict
    # Why RabbitMQ 3.10 answers otherwise, where it does: then only Leveret is held to `expect`.
    newer: str = ""
    at: tuple = field(default=())

    def place(self):
        last = self.steps[-1]
        return self.at or (last.conn, 0 if self.expect["method"] in ("connection.close", "dropped") else last.chan)


def closes_channel(code, ids, text):
    return {"method": "channel.close", "args": _close(code, ids, text)}


def closes_connection(code, ids, text):
    return {"method": "connection.close", "args": _close(code, ids, text)}


def _close(code, ids, text):
    class_id, method_id = wire.IDS[ids] if isinstance(ids, str) else ids
    return {"reply_code": code, "reply_text": text, "class_id": class_id, "method_id": method_id}


def answers(method, **args):
    return {"method": method, "args": args}


def failed(text, ids="queue.declare"):
    return closes_channel(406, ids, f"PRECONDITION_FAILED - {text}")


def missing(text, ids):
    return closes_channel(404, ids, f"NOT_FOUND - {text}")


def refused(text, ids):
    return closes_channel(403, ids, f"ACCESS_REFUSED - {text}")


def not_implemented(text, ids):
    return closes_connection(540, ids, f"NOT_IMPLEMENTED - {text}")


DROPPED = {"method": "dropped", "args": {}}
LOCKED = ("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '~q' in vhost '/'. It could be originally "
          "declared on another connection or the exclusive property value does not match that of the original "
          "declaration.")
DEFAULT = "operation not permitted on the default exchange"


def queue(name="~q", do=a1, **args):
    return do("queue.declare", queue=name, **args)


def exchange(name="~x", type="direct", do=a1, **args):
    return do("exchange.declare", exchange=name, type=type, **args)


def bind(key="k", exchange="~x", queue="~q", do=a1, **args):
    return do("queue.bind", queue=queue, exchange=exchange, routing_key=key, **args)


def _locked(step):
    return Situation(8, f"exclusive queue of another connection: {step.method}", [queue(exclusive=True), step],
                     closes_channel(405, step.method, LOCKED))


def _argument(number, arguments, text):
    return Situation(number, f"queue declared with {arguments}", [queue(arguments=arguments)],
                     failed(f"invalid arg '{list(arguments)[-1]}' for queue '~q' in vhost '/': {text}"))


def _inequivalent(title, first, second, what):
    return Situation(1, title, [first, second], failed(f"inequivalent arg {what}", second.method))


QUEUES = [
    _inequivalent("durable differs", queue(durable=True), queue(),
                  "'durable' for queue '~q' in vhost '/': received 'false' but current is 'true'"),
    _inequivalent("auto-delete differs", queue(), queue(auto_delete=True),
                  "'auto_delete' for queue '~q' in vhost '/': received 'true' but current is 'false'"),
    _inequivalent("argument given that was not there", queue(), queue(arguments={"x-message-ttl": 1000}),
                  "'x-message-ttl' for queue '~q' in vhost '/': "
                  "received the value '1000' of type 'signedint' but current is none"),
    _inequivalent("argument differs", queue(arguments={"x-message-ttl": 1000}),
                  queue(arguments={"x-message-ttl": 2000}),
                  "'x-message-ttl' for queue '~q' in vhost '/': received '2000' but current is '1000'"),
    _inequivalent("argument missing that was there", queue(arguments={"x-message-ttl": 1000}), queue(),
                  "'x-message-ttl' for queue '~q' in vhost '/': "
                  "received none but current is the value '1000' of type 'signedint'"),
    Situation(6, "an argument nobody knows is not compared",
              [queue(arguments={"x-mine": 1}), queue(arguments={"x-mine": 2})],
              answers("queue.declare-ok", queue="~q", message_count=0, consumer_count=0)),
    Situation(6, "the width of an integer is not compared",
              [queue(arguments={"x-message-ttl": 1000}), queue(arguments={"x-message-ttl": Field("l", 1000)})],
              answers("queue.declare-ok", queue="~q", message_count=0, consumer_count=0)),
    Situation(6, "a redeclared queue tells its counts",
              [queue(), publish("", "~q"), a1("basic.consume", queue="~q", consumer_tag="t"), queue()],
              answers("queue.declare-ok", queue="~q", message_count=0, consumer_count=1)),
    *[_locked(step) for step in (
        queue(do=b1), queue(do=b1, passive=True), b1("basic.consume", queue="~q"), b1("basic.get", queue="~q"),
        bind(exchange="amq.direct", do=b1), b1("queue.purge", queue="~q"), b1("queue.delete", queue="~q"))],
    Situation(8, "the owner declares its exclusive queue as shared", [queue(exclusive=True), queue()],
              closes_channel(405, "queue.declare", LOCKED)),
    Situation(8, "an exclusive queue serves all channels of its connection",
              [queue(exclusive=True), a2("queue.declare", queue="~q", exclusive=True)],
              answers("queue.declare-ok", queue="~q", message_count=0, consumer_count=0)),
    *[Situation(9, f"missing queue: {step.method}", [step], missing("no queue '~q' in vhost '/'", step.method))
      for step in (queue(passive=True), a1("basic.consume", queue="~q"), a1("basic.get", queue="~q"),
                   a1("queue.purge", queue="~q"), bind(exchange="amq.direct"))],
    Situation(9, "no-wait hides an answer, not an error", [queue(passive=True, nowait=True)],
              missing("no queue '~q' in vhost '/'", "queue.declare")),
    Situation(9, "passive declare of the empty name", [queue(), queue("", passive=True)],
              missing("no queue '' in vhost '/'", "queue.declare")),
    *[Situation(9, f"nothing to do is no error: {step.method}", [step], answers(step.method + "-ok", **args))
      for step, args in ((a1("queue.delete", queue="~q"), {"message_count": 0}),
                         (a1("queue.unbind", queue="~q", exchange="~x", routing_key="k"), {}),
                         (a1("exchange.delete", exchange="~x"), {}),
                         (a1("exchange.unbind", source="~x", destination="~y"), {}),
                         (a1("basic.cancel", consumer_tag="nobody"), {"consumer_tag": "nobody"}))],
    Situation(12, "reserved queue name", [queue("amq.foo")],
              refused("queue name 'amq.foo' contains reserved prefix 'amq.*'", "queue.declare")),
    Situation(19, "no queue was declared on this channel", [bind(exchange="amq.direct", queue="")],
              missing("no previously declared queue", "queue.bind")),
    Situation(19, "the last queue declared on this channel is meant", [queue(), a1("queue.purge", queue="")],
              answers("queue.purge-ok", message_count=0)),
    Situation(52, "delete if unused, with a consumer",
              [queue(), a1("basic.consume", queue="~q"), a1("queue.delete", queue="~q", if_unused=True)],
              failed("queue '~q' in vhost '/' in use", "queue.delete")),
    Situation(53, "delete if empty, with a message",
              [queue(), publish("", "~q"), a1("queue.delete", queue="~q", if_empty=True)],
              failed("queue '~q' in vhost '/' not empty", "queue.delete")),
    _argument(55, {"x-message-ttl": -1}, "{value_negative,-1}"),
    _argument(55, {"x-message-ttl": "1000"}, '"expected integer, got longstr"'),
    _argument(55, {"x-expires": 0}, "{value_zero,0}"),
    _argument(55, {"x-expires": -1}, "{value_negative,-1}"),
    _argument(55, {"x-max-length": -5}, "{value_negative,-5}"),
    _argument(55, {"x-max-length-bytes": -5}, "{value_negative,-5}"),
    _argument(55, {"x-max-priority": 256}, "{max_value_exceeded,256}"),
    _argument(55, {"x-dead-letter-routing-key": "k"}, "routing_key_but_no_dlx_defined"),
    _argument(55, {"x-overflow": "bogus"}, "invalid_overflow"),
    _argument(55, {"x-queue-type": "bogus"}, "\"unsupported queue type 'bogus'\""),
    _argument(55, {"x-single-active-consumer": "yes"}, "{unacceptable_type,longstr}"),
    Situation(56, "dead-letter exchange is not a string", [queue(arguments={"x-dead-letter-exchange": 3})],
              failed("invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '~q' in vhost '/'")),
    *[Situation(57, f"quorum queue: {flag}", [queue(durable=flag != "non-durable", arguments={"x-queue-type": "quorum"},
                                                      **more)],
                failed(f"invalid property '{flag}' for queue '~q' in vhost '/'"))
      for flag, more in (("non-durable", {}), ("exclusive-owner", {"exclusive": True}),
                         ("auto-delete", {"auto_delete": True}))],
    Situation(58, "argument that a quorum queue does not have",
              [queue(durable=True, arguments={"x-queue-type": "quorum", "x-max-priority": 5})],
              failed("invalid arg 'x-max-priority' for queue '~q' in vhost '/' of queue type rabbit_quorum_queue")),
]

EXCHANGES = [
    _inequivalent("type differs", exchange(), exchange(type="fanout"),
                  "'type' for exchange '~x' in vhost '/': received 'fanout' but current is 'direct'"),
    _inequivalent("type of a system exchange differs", a1("access.request"), exchange("amq.direct", "fanout"),
                  "'type' for exchange 'amq.direct' in vhost '/': received 'fanout' but current is 'direct'"),
    _inequivalent("internal differs", exchange(), exchange(internal=True),
                  "'internal' for exchange '~x' in vhost '/': received 'true' but current is 'false'"),
    Situation(10, "passive declare of a missing exchange", [exchange(passive=True)],
              missing("no exchange '~x' in vhost '/'", "exchange.declare")),
    Situation(10, "publish to a missing exchange", [publish("~x", "k")],
              missing("no exchange '~x' in vhost '/'", "basic.publish")),
    Situation(10, "bind to a missing exchange", [queue(), bind()],
              missing("no exchange '~x' in vhost '/'", "queue.bind")),
    Situation(13, "reserved exchange name", [exchange("amq.foo")],
              refused("exchange name 'amq.foo' contains reserved prefix 'amq.*'", "exchange.declare")),
    *[Situation(14, f"default exchange: {step.method}", [queue(), step], refused(DEFAULT, step.method))
      for step in (exchange(""), exchange("", passive=True), a1("exchange.delete", exchange=""), bind(exchange=""),
                   a1("queue.unbind", queue="~q", exchange="", routing_key="k"),
                   a1("exchange.bind", source="", destination="amq.direct"))],
    Situation(15, "delete a system exchange", [a1("exchange.delete", exchange="amq.direct")],
              refused("deletion of system exchange 'amq.direct' in vhost '/' not allowed", "exchange.delete")),
    Situation(16, "unknown exchange type", [exchange(type="bogus")],
              failed("unknown exchange type 'bogus'", "exchange.declare"), newer="503 connection error before 3.13"),
    Situation(17, "empty exchange type", [exchange(type="")],
              failed("invalid exchange type ''", "exchange.declare"), newer="503 connection error before 3.13"),
    Situation(20, "unknown x-match", [queue(), bind(exchange="amq.match", arguments={"x-match": "bogus"})],
              failed('Invalid x-match field value <<"bogus">>; expected all, any, all-with-x, or any-with-x',
                     "queue.bind")),
    Situation(21, "x-match is a number", [queue(), bind(exchange="amq.match", arguments={"x-match": 1})],
              failed("Invalid x-match field type signedint (value 1); expected longstr", "queue.bind")),
    Situation(48, "publish to an internal exchange", [exchange(internal=True), publish("~x", "k")],
              refused("cannot publish to internal exchange '~x' in vhost '/'", "basic.publish")),
    Situation(54, "delete if unused, with a binding",
              [exchange(), queue(), bind(), a1("exchange.delete", exchange="~x", if_unused=True)],
              failed("exchange '~x' in vhost '/' in use", "exchange.delete")),
    Situation(56, "alternate exchange is not a string", [exchange(arguments={"alternate-exchange": 3})],
              failed("invalid type 'signedint' for arg 'alternate-exchange' in exchange '~x' in vhost '/'",
                     "exchange.declare")),
]

_UNKNOWN_TAG = [
    ("ack of a tag that never was", [a1("basic.ack", delivery_tag=42)], 42),
    ("nack of a tag that never was", [a1("basic.nack", delivery_tag=42)], 42),
    ("reject of a tag that never was", [a1("basic.reject", delivery_tag=42)], 42),
    ("tag 0 alone", [a1("basic.ack", delivery_tag=0)], 0),
    ("multiple beyond the last tag", [a1("basic.get", queue="~q"), a1("basic.ack", delivery_tag=2, multiple=True)], 2),
    ("second ack", [a1("basic.get", queue="~q"), a1("basic.ack", delivery_tag=1), a1("basic.ack", delivery_tag=1)], 1),
    ("ack after recover", [a1("basic.get", queue="~q"), a1("basic.recover", requeue=True),
                           a1("basic.ack", delivery_tag=1)], 1),
    ("ack of what was delivered without acks", [a1("basic.get", queue="~q", no_ack=True),
                                                a1("basic.ack", delivery_tag=1)], 1),
    ("ack on another channel", [a1("basic.get", queue="~q"), a2("basic.ack", delivery_tag=1)], 1),
]

CONSUMERS = [
    Situation(25, "exclusive consumer is there already",
              [queue(), a1("basic.consume", queue="~q", exclusive=True), b1("basic.consume", queue="~q")],
              refused("queue '~q' in vhost '/' in exclusive use", "basic.consume")),
    Situation(25, "exclusive asked for beside another",
              [queue(), a1("basic.consume", queue="~q"), b1("basic.consume", queue="~q", exclusive=True)],
              refused("queue '~q' in vhost '/' in exclusive use", "basic.consume")),
    Situation(26, "consumer tag used twice",
              [queue(), a1("basic.consume", queue="~q", consumer_tag="c"),
               a1("basic.consume", queue="~q", consumer_tag="c")],
              closes_connection(530, "basic.consume", "NOT_ALLOWED - attempt to reuse consumer tag 'c'")),
    *[Situation(29, title, [queue(), publish("", "~q"), *steps],
                failed(f"unknown delivery tag {tag}", steps[-1].method)) for title, steps, tag in _UNKNOWN_TAG],
    Situation(31, "prefetch size", [a1("basic.qos", prefetch_size=10)],
              not_implemented("prefetch_size!=0 (10)", "basic.qos")),
    Situation(32, "recover without requeue", [a1("basic.recover")], not_implemented("requeue=false", "basic.recover")),
    Situation(49, "reply-to without its consumer",
              [publish("", "~q", properties={"reply_to": "amq.rabbitmq.reply-to"})],
              failed("fast reply consumer does not exist", "basic.publish")),
    Situation(50, "reply-to consumer with acks", [a1("basic.consume", queue="amq.rabbitmq.reply-to")],
              failed("reply consumer cannot acknowledge", "basic.consume")),
    Situation(50, "second reply-to consumer",
              [a1("basic.consume", queue="amq.rabbitmq.reply-to", no_ack=True),
               a1("basic.consume", queue="amq.rabbitmq.reply-to", no_ack=True)],
              failed("reply consumer already set", "basic.consume")),
]

PUBLISHING = [
    Situation(34, "immediate", [publish("", "~q", immediate=True)],
              not_implemented("immediate=true", "basic.publish")),
    Situation(42, "expiration is no number", [publish("", "~q", properties={"expiration": "abc"})],
              failed("invalid expiration 'abc': no_integer", "basic.publish")),
    Situation(42, "expiration below zero", [publish("", "~q", properties={"expiration": "-1"})],
              failed("invalid expiration '-1': {value_negative,-1}", "basic.publish")),
    Situation(43, "somebody else's user id", [publish("", "~q", properties={"user_id": "bob"})],
              failed("user_id property set to 'bob' but authenticated user was 'guest'", "basic.publish")),
    Situation(44, "mandatory and not routed", [publish("", "~q", mandatory=True)],
              answers("basic.return", reply_code=312, reply_text="NO_ROUTE", exchange="", routing_key="~q")),
    Situation(51, "CC is not an array", [publish("", "~q", properties={"headers": {"CC": "~q"}})],
              failed('invalid message: {unacceptable_type_in_header,"CC",longstr}', "basic.publish")),
    Situation(51, "BCC is not an array", [publish("", "~q", properties={"headers": {"BCC": 3}})],
              failed('invalid message: {unacceptable_type_in_header,"BCC",signedint}', "basic.publish")),
    Situation(35, "commit without tx.select", [a1("tx.commit")], failed("channel is not transactional", "tx.commit")),
    Situation(35, "rollback without tx.select", [a1("tx.rollback")],
              failed("channel is not transactional", "tx.rollback")),
    Situation(36, "from confirm to tx", [a1("confirm.select"), a1("tx.select")],
              failed("cannot switch from confirm to tx mode", "tx.select")),
    Situation(36, "from tx to confirm", [a1("tx.select"), a1("confirm.select")],
              failed("cannot switch from tx to confirm mode", "confirm.select")),
]

PERMISSION_NAMED = "before 3.12 the permission is not named"
PERMISSIONS = [
    *[Situation(62, f"no permission: {step.method}", [queue(), exchange(), step],
                refused(f"{permission} access to {what} in vhost '/' refused for user 'lim'", step.method),
                newer=PERMISSION_NAMED)
      for step, permission, what in (
        (queue(do=lim), "configure", "queue '~q'"), (exchange(do=lim), "configure", "exchange '~x'"),
        (lim("basic.get", queue="~q"), "read", "queue '~q'"), (lim("basic.consume", queue="~q"), "read", "queue '~q'"),
        (lim("queue.purge", queue="~q"), "read", "queue '~q'"), (bind(do=lim), "write", "queue '~q'"),
        (lim("queue.delete", queue="~q"), "configure", "queue '~q'"),
        (lim("exchange.delete", exchange="~x"), "configure", "exchange '~x'"),
        (publish("~x", "k", conn="lim"), "write", "exchange '~x'"))],
    Situation(62, "permission is asked before existence", [publish("~none", "k", conn="lim")],
              refused("write access to exchange '~none' in vhost '/' refused for user 'lim'", "basic.publish"),
              newer=PERMISSION_NAMED),
    Situation(62, "permission for what is one's own", [queue("~ok-q", do=lim)],
              answers("queue.declare-ok", queue="~ok-q", message_count=0, consumer_count=0)),
    Situation(63, "no permission on the default exchange", [publish("", "~q", conn="lim")],
              refused("write access to exchange 'amq.default' in vhost '/' refused for user 'lim'", "basic.publish"),
              newer=PERMISSION_NAMED),
]


def _frame(kind, channel, payload):
    return wire.write_frame(kind, channel, payload)


_PUBLISH = wire.method_frame(1, "basic.publish", exchange="", routing_key="q")
_OPEN = wire.method_frame(1, "channel.open")


def _header(size=0, class_id=60):
    return _frame(wire.HEADER, 1, wire.write_content_header(size, {}, class_id))


_WANTS_HEADER = "UNEXPECTED_FRAME - expected content header for class 60, got "

FRAMES = [
    Situation(33, "channel.flow off", [a1("channel.flow", active=False)],
              not_implemented("active=false", "channel.flow")),
    Situation(38, "second channel.open", [raw(_OPEN)],
              closes_connection(504, "channel.open", "CHANNEL_ERROR - second 'channel.open' seen")),
    Situation(39, "method on a channel that is not open",
              [a1("access.request"), raw(wire.method_frame(7, "queue.declare", queue="q"))],
              closes_connection(504, "queue.declare", "CHANNEL_ERROR - expected 'channel.open'")),
    Situation(40, "channel method on channel 0", [raw(wire.method_frame(0, "queue.declare", queue="q"))],
              closes_connection(504, "queue.declare",
                                "CHANNEL_ERROR - unexpected method in connection state running")),
    Situation(47, "more body than announced", [raw(_PUBLISH + _header(2) + _frame(wire.BODY, 1, b"xxx"))],
              closes_connection(501, (60, 40), "FRAME_ERROR - content body frame exceeds remaining content size"),
              newer="before 4.0 the surplus is an unexpected frame, 505"),
    Situation(79, "frame end is not 206", [raw(_frame(1, 1, b"\0\x3c\0\x0a\0")[:-1] + b"\0")],
              closes_connection(501, (0, 0), "FRAME_ERROR - type 1, all octets = <<0,60,0,10,0>>: "
                                             "{invalid_frame_end_marker,0}")),
    Situation(80, "unknown frame type", [raw(_frame(9, 1, b"ab"))],
              closes_connection(501, (0, 0), 'FRAME_ERROR - type 9, all octets = <<"ab">>: unknown_frame')),
    Situation(81, "heartbeat on a channel", [raw(_frame(wire.HEARTBEAT, 1, b""))],
              closes_connection(505, (0, 0), "UNEXPECTED_FRAME - type 8, all octets = <<>>")),
    Situation(82, "body without a method", [raw(_frame(wire.BODY, 1, b"x"))],
              closes_connection(505, (0, 0), "UNEXPECTED_FRAME - expected method frame, "
                                             "got non method frame instead")),
    Situation(83, "method where a header is due", [raw(_PUBLISH + wire.method_frame(1, "basic.get", queue="q"))],
              closes_connection(505, (60, 40), _WANTS_HEADER + "non content header frame instead")),
    Situation(83, "method where a body is due", [raw(_PUBLISH + _header(3) + wire.method_frame(1, "tx.select"))],
              closes_connection(505, (60, 40), "UNEXPECTED_FRAME - expected content body, "
                                               "got non content body frame instead")),
    Situation(84, "content header of another class", [raw(_PUBLISH + _header(3, class_id=50))],
              closes_connection(505, (60, 40), _WANTS_HEADER + "one for class 50 instead")),
    Situation(85, "arguments end too early", [raw(_frame(1, 1, b"\0\x32\0\x0a\0"))],
              closes_connection(501, "queue.declare", "FRAME_ERROR - cannot decode <<0>>")),
    Situation(87, "unknown class", [raw(_frame(1, 1, b"\0\x63\0\x01"))], DROPPED),
]

SITUATIONS = QUEUES + EXCHANGES + CONSUMERS + PUBLISHING + PERMISSIONS + FRAMES


def matches(situation, seen):
    """Whether the situation's last step brought what it should; a text may go on after RabbitMQ's."""
    want = situation.expect
    for event in seen.get(situation.place(), []):
        args = dict(event.args)
        text, longer = want["args"].get("reply_text", ""), args.pop("reply_text", "")
        wanted = {key: value for key, value in want["args"].items() if key != "reply_text"}
        if event.method == want["method"] and args == wanted and longer.startswith(text[:255]):
            return True
    return False


__all__ = ["SITUATIONS", "Situation", "Event", "Step", "matches"]
