"""Draws client programs at random: sensible ones, with wrong arguments of every kind mixed in.

A few rules keep RabbitMQ's own answer free of chance, because its queues are processes of their own:
a channel consumes from one queue only, one queue only dead-letters, messages expire at once or never,
and a burst goes to channels that are not asked for returns.
"""

from program import Step, publish
from wire import Field

QUEUES = ["~q1", "~q2", "~q3", "~ok-q"]
EXCHANGES = ["~x1", "~x2", "~x3", "~ok-x"]
SYSTEM_EXCHANGES = ["amq.direct", "amq.topic", "amq.fanout", "amq.match"]
TYPES = ["direct", "fanout", "topic", "headers"]
KEYS = ["k", "a", "a.b", "a.b.c", "b", "", "."]
PATTERNS = KEYS + ["#", "*", "a.*", "a.#", "#.b", "*.*", "a.#.c"]
NAMES = QUEUES + EXCHANGES
CHANNELS = [("a", 1), ("a", 2), ("b", 1), ("lim", 1)]
CONSUMES = {("a", 1): "~q1", ("a", 2): "~q2", ("b", 1): "~q1", ("lim", 1): "~ok-q"}

GOOD_QUEUE_ARGS = [
    {"x-message-ttl": 0}, {"x-message-ttl": 60000}, {"x-expires": 600000}, {"x-max-length": 2},
    {"x-max-length-bytes": 10}, {"x-max-length": 1, "x-overflow": "reject-publish"}, {"x-unknown": "kept"},
    {"x-queue-type": "classic"}, {"x-max-length": Field("l", 3)}, {"x-max-length": Field("s", 3)},
]
DEAD_LETTER_ARGS = [
    {"x-dead-letter-exchange": "~x1"}, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "~q2"},
    {"x-dead-letter-exchange": "~nowhere", "x-max-length": 1},
    {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "~q3", "x-max-length": 2},
    {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "~q2", "x-message-ttl": 0},
    {"x-dead-letter-exchange": "amq.fanout"},
]
BAD_QUEUE_ARGS = [
    {"x-message-ttl": -1}, {"x-message-ttl": "1000"}, {"x-expires": 0}, {"x-expires": -5}, {"x-max-length": -1},
    {"x-max-length": "many"}, {"x-max-priority": 256}, {"x-max-priority": -1}, {"x-overflow": "bogus"},
    {"x-overflow": 3}, {"x-queue-type": "bogus"}, {"x-queue-type": 7}, {"x-dead-letter-routing-key": "k"},
    {"x-dead-letter-exchange": 3}, {"x-dead-letter-exchange": "~x1", "x-dead-letter-routing-key": 3},
    {"x-single-active-consumer": "yes"}, {"x-message-ttl": 315360000001}, {"x-max-length-bytes": -1},
    {"x-message-ttl": Field("t", True)}, {"x-message-ttl": Field("d", 1.5)}, {"x-queue-mode": "bogus"},
]
EXCHANGE_ARGS = [{"alternate-exchange": "~x2"}, {"alternate-exchange": "~nowhere"}, {"alternate-exchange": 5},
                 {"alternate-exchange": "amq.fanout"}, {"x-unknown": 1}]
MATCH_ARGS = [
    {}, {"x-match": "all"}, {"x-match": "any"}, {"x-match": "all", "h": 1}, {"x-match": "any", "h": 1, "g": "s"},
    {"x-match": "any-with-x", "x-h": 1}, {"x-match": "all-with-x", "x-h": 1}, {"h": "1"}, {"h": None},
    {"x-match": "bogus"}, {"x-match": 1}, {"x-match": "any", "x-h": 1}, {"h": Field("l", 1)},
    {"h": True}, {"h": 1.0},
]
HEADERS = [
    {}, {"h": 1}, {"h": "1"}, {"g": "s"}, {"h": 1, "g": "s"}, {"x-h": 1}, {"h": Field("b", -1)},
    {"h": Field("B", 200)}, {"h": Field("D", (2, 314))}, {"h": Field("T", 1700000000)}, {"h": True},
    {"h": {"in": [1, "two", {"three": None}]}}, {"h": Field("x", b"\0\xff")}, {"h": Field("f", 1.5)},
    {"h": Field("u", 7)}, {"h": Field("i", 7)}, {"h": Field("s", -7)}, {"CC": ["~q2"]},
    {"CC": ["~q2", "~q3"], "BCC": ["~q1"]},
]
BAD_HEADERS = [{"CC": "~q2"}, {"BCC": 3}, {"CC": ["~q1", 4]}]
PROPERTIES = [
    {}, {}, {"delivery_mode": 2}, {"delivery_mode": 1, "priority": 5}, {"content_type": "text/plain", "app_id": "t"},
    {"message_id": "m", "correlation_id": "c", "timestamp": 1700000000, "type": "t", "cluster_id": "z"},
    {"expiration": "60000"}, {"reply_to": "~q3"}, {"content_encoding": "gzip", "headers": {}},
]
BAD_PROPERTIES = [
    {"expiration": "abc"}, {"expiration": "-1"}, {"expiration": "1.5"}, {"expiration": ""},
    {"expiration": "315360000001"}, {"user_id": "bob"}, {"user_id": "guest"},
]
BODIES = [b"", b"m", b"message", b"x" * 11, b"y" * 3000, b"z" * 140000]


class Draw:
    """Draws steps with one random source."""

    def __init__(self, random):
        self.random = random
        self.one = random.choice
        self.declared = {"queue": {"~q1", "~q2"}, "exchange": {"~x1", "~x2"}}
        self.modes = {}

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def flags(self, percent, *names):
        return {name: True for name in names if self.chance(percent)}

    def program(self, length=30):
        """A few declarations, then whatever comes."""
        steps = [self._to_guest(step) for step in self._setting()]
        makers = [make for make, weight in WEIGHTS for _ in range(weight)]
        while len(steps) < length:
            made = self.one(makers)(self)
            steps += made if isinstance(made, list) else [made]
        return steps + list(_epilogue())

    def _to_guest(self, step):
        step.conn, step.chan = "a", 1
        return step

    def _setting(self):
        steps = [Step("a", 1, "queue.declare", {"queue": "~q1", "arguments": self.queue_arguments("~q1", 0)}),
                 Step("a", 1, "queue.declare", {"queue": "~q2"}),
                 Step("a", 1, "exchange.declare", {"exchange": "~x1", "type": self.one(TYPES)}),
                 Step("a", 1, "exchange.declare", {"exchange": "~x2", "type": self.one(TYPES)})]
        return steps + [self.bind() for _ in range(3)]

    # --- parts -------------------------------------------------------------------------------------

    def place(self):
        """Connection and channel: the limited user seldom, because most is refused to it."""
        return self.one(CHANNELS[:3] * 5 + CHANNELS[3:])

    def name(self, kind, others):
        """Mostly one that the program has declared, else any at all."""
        known = sorted(self.declared[kind])
        return self.one(known) if known and self.chance(88) else self.one(others)

    def queue(self):
        return self.name("queue", QUEUES + ["", "~nosuch"])

    def exchange(self):
        return self.name("exchange", EXCHANGES + SYSTEM_EXCHANGES * 2 + ["", "~nosuch"])

    def step(self, method, **args):
        conn, chan = self.place()
        return Step(conn, chan, method, args)

    def queue_arguments(self, name, bad_percent=25):
        if self.chance(50):
            return {}
        if self.chance(bad_percent):
            return self.one(BAD_QUEUE_ARGS)
        return self.one(DEAD_LETTER_ARGS if name == "~q1" and self.chance(60) else GOOD_QUEUE_ARGS)

    def binding(self, exchange):
        return {"routing_key": self.one(PATTERNS),
                "arguments": self.one(MATCH_ARGS) if self.chance(40) else {}}

    # --- steps -------------------------------------------------------------------------------------

    def declare_queue(self):
        name = self.one(QUEUES * 3 + ["", "", "amq.own", "~crlf\r\n", "amq.rabbitmq.reply-to"])
        args = {"queue": name, **self.flags(15, "durable", "exclusive", "auto_delete"),
                **self.flags(10, "passive", "nowait"), "arguments": self.queue_arguments(name)}
        if name == "":
            args.update(exclusive=True, nowait=False, passive=False)
            if args["arguments"] == {"x-queue-type": 7}:    # RabbitMQ fails with 541 before it gives a name
                args["arguments"] = {"x-queue-type": "bogus"}
            self.declared["queue"].add("<gen-1>")
        elif name in QUEUES:
            self.declared["queue"].add(name)
        return self.step("queue.declare", **args)

    def declare_exchange(self):
        name = self.one(EXCHANGES * 4 + SYSTEM_EXCHANGES[:1] + ["", "amq.own"])
        self.declared["exchange"] |= {name} & set(EXCHANGES)
        return self.step("exchange.declare", exchange=name, type=self.one(TYPES),
                         **self.flags(15, "durable", "auto_delete", "internal"), **self.flags(10, "passive", "nowait"),
                         arguments=self.one(EXCHANGE_ARGS) if self.chance(30) else {})

    def bind(self):
        exchange = self.exchange()
        return self.step(self.one(["queue.bind"] * 4 + ["queue.unbind"]), queue=self.queue(), exchange=exchange,
                         **self.binding(exchange))

    def bind_exchange(self):
        """One end at most is a system exchange: what binds two of them would outlive the program."""
        ends = [self.exchange(), self.one(EXCHANGES)]
        self.random.shuffle(ends)
        return self.step(self.one(["exchange.bind"] * 3 + ["exchange.unbind"]), destination=ends[0], source=ends[1],
                         **self.binding(""))

    def properties(self):
        properties = dict(self.one(BAD_PROPERTIES if self.chance(6) else PROPERTIES))
        if self.chance(50):
            # Since 4.0 the headers are checked before user_id: never both wrong.
            bad = self.chance(6) and properties.get("user_id") != "bob"
            properties["headers"] = self.one(BAD_HEADERS if bad else HEADERS)
        return properties

    def publish(self):
        conn, chan = self.place()
        exchange = "" if self.chance(30) else self.exchange()
        key = self.one(KEYS) if exchange else self.queue()
        body = self.one(BODIES[:-1] * 4 + BODIES[-1:])
        return publish(exchange, key, body, self.properties(), conn, chan, **self.flags(30, "mandatory"))

    def publish_to_queue(self):
        conn, chan = self.place()
        return publish("", self.one(QUEUES[:2]), self.one(BODIES[:4]), dict(self.one(PROPERTIES)), conn, chan)

    def burst(self):
        conn, chan = self.place()
        return Step(conn, chan, "burst", {"exchange": "", "routing_key": self.one(QUEUES[:2]),
                                          "count": self.one([2, 3, 5])}, {}, b"b")

    def get(self):
        return self.step("basic.get", queue=self.queue(), **self.flags(50, "no_ack"))

    def consume(self):
        conn, chan = self.place()
        args = {"queue": CONSUMES[conn, chan], "consumer_tag": self.one(["", "t1", "t2", "t3", "t4", "t5"]),
                **self.flags(40, "no_ack"), **self.flags(10, "exclusive", "no_local", "nowait")}
        if self.chance(15):
            args["arguments"] = self.one([{"x-priority": 5}, {"x-priority": -1}, {"x-priority": "high"}])
        if args["consumer_tag"] == "":
            args["nowait"] = False
        return Step(conn, chan, "basic.consume", args)

    def cancel(self):
        return self.step("basic.cancel", consumer_tag=self.one(["t1", "t2", "t3", "t4", "<ctag-1>"]),
                         **self.flags(10, "nowait"))

    def settle(self):
        method = self.one(["basic.ack", "basic.ack", "basic.nack", "basic.reject"])
        args = {"delivery_tag": self.one(["oldest", "newest", "middle"] * 8 + [0, 42])}
        if method != "basic.reject":
            args.update(self.flags(30, "multiple"))
        if method != "basic.ack":
            args.update(self.flags(50, "requeue"))
        return self.step(method, **args)

    def recover(self):
        return self.step(self.one(["basic.recover", "basic.recover-async"]), requeue=not self.chance(5))

    def qos(self):
        return self.step("basic.qos", prefetch_count=self.one([0, 1, 2, 10]), prefetch_size=10 * self.chance(5),
                         **self.flags(5, "global"))

    def mode(self):
        place = self.place()
        if self.modes.get(place) == "tx" and self.chance(85):
            method = self.one(["tx.commit", "tx.commit", "tx.rollback"])
        else:
            method = self.one(["confirm.select"] * 4 + ["tx.select"] * 2 + ["tx.commit"])
            self.modes.setdefault(place, method.split(".")[0])
        return Step(*place, method)

    def remove(self):
        method = self.one(["queue.purge", "queue.delete", "exchange.delete"])
        if method == "exchange.delete":
            return self.step(method, exchange=self.exchange(), **self.flags(40, "if_unused"))
        flags = self.flags(40, "if_unused", "if_empty") if method == "queue.delete" else {}
        return self.step(method, queue=self.queue(), **flags)

    def leave(self):
        conn, chan = self.place()
        method = self.one(["channel.close"] * 3 + ["connection.close", "drop"])
        return Step(conn, chan if method == "channel.close" else 0, method,
                    {"reply_code": 200} if method == "channel.close" else {})

    def call(self):
        """A request and its answer by direct reply-to, on channels without transactions: before 4.0 an
        answer is no part of one."""
        return [Step("a", 4, "basic.consume", {"queue": "amq.rabbitmq.reply-to", "no_ack": True, "consumer_tag": "rt"}),
                publish("", "~q2", b"ask", {"reply_to": "amq.rabbitmq.reply-to", "correlation_id": "c"}, "a", 4),
                Step("b", 4, "basic.get", {"queue": "~q2", "no_ack": True}),
                publish("", "<reply-to-1>", b"answer", {"correlation_id": "c"}, "b", 4)]

    def oddity(self):
        """Well-formed methods that a broker has to refuse, or hardly ever sees."""
        method, args = self.one([
            ("channel.open", {}), ("channel.flow", {"active": False}), ("channel.flow", {"active": True}),
            ("access.request", {"realm": "/data", "active": True}), ("basic.qos", {"prefetch_size": 1}),
            ("queue.bind", {"queue": "", "exchange": "amq.direct"}), ("queue.purge", {"queue": ""}),
            ("basic.consume", {"queue": "amq.rabbitmq.reply-to", "no_ack": True, "consumer_tag": "r"}),
            ("basic.consume", {"queue": "amq.rabbitmq.reply-to", "consumer_tag": "r"}),
            ("exchange.delete", {"exchange": "amq.direct"}), ("basic.cancel", {"consumer_tag": ""}),
            ("queue.declare", {"queue": "~" + "long" * 60, "passive": True}), ("queue.declare", {"queue": "~n\u00e4me"}),
            ("basic.consume", {"queue": "~" + "\u00e4" * 120}), ("exchange.declare", {"exchange": "~" + "x" * 240, "type": "direct"}),
            ("channel.close-ok", {}), ("basic.get-empty", {}), ("queue.declare-ok", {"queue": "q"}),
        ])
        return self.step(method, **args)


WEIGHTS = [
    (Draw.declare_queue, 8), (Draw.declare_exchange, 5), (Draw.bind, 8), (Draw.bind_exchange, 4), (Draw.publish, 24),
    (Draw.publish_to_queue, 14), (Draw.burst, 5), (Draw.get, 9), (Draw.consume, 10), (Draw.cancel, 3),
    (Draw.settle, 18), (Draw.recover, 2), (Draw.qos, 5), (Draw.mode, 10), (Draw.remove, 6), (Draw.leave, 3),
    (Draw.oddity, 2), (Draw.call, 2),
]


def _epilogue():
    """Every queue read to its end by those who may, after the channels gave back what they held."""
    for conn, chan in CHANNELS:
        yield Step(conn, chan, "channel.close", {"reply_code": 200})
    for queue in QUEUES + ["<gen-1>"]:
        for conn in ("a", "b"):
            yield Step(conn, 3, "drain", {"queue": queue})
