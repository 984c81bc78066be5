"""Plays the steps of a program against one broker and says what a client saw at each.

After every step it waits until the broker has settled: by round trips only, never by sleeping. A
round trip on the step's channel shows that the channel has handled it; outstanding confirms are
awaited; then every queue is asked for its counts until they repeat (a broker may answer that
question before it handles a message that is already waiting, so once is not enough); and last a round
trip on every open channel collects what was delivered meanwhile.
"""

import re
from collections import defaultdict

import connection
from program import USERS

OBSERVER_CHANNEL = 2000
_ROUNDS_AT_LEAST, _ROUNDS_AT_MOST = 2, 20
_RANDOM_NAMES = re.compile(
    r"amq\.gen-[A-Za-z0-9_-]{22}|amq\.ctag-[A-Za-z0-9_-]{22}|amq\.rabbitmq\.reply-to\.[^'\"\s]+")
_ENDS = ("dropped", "silence", "connection.close")


class Names:
    """Translates between a program's names and a broker's: the prefix, and random names by order."""

    def __init__(self, prefix):
        self.prefix, self.real, self.symbols = prefix, {}, {}

    def to_broker(self, value):
        if isinstance(value, str):
            value = value.replace("~", self.prefix)
            return re.sub(r"<[a-z-]+-\d+>", lambda m: self.real.get(m[0], m[0]), value)
        return _map(value, self.to_broker)

    def from_broker(self, value):
        if isinstance(value, str):
            return _RANDOM_NAMES.sub(lambda m: self._symbol(m[0]), value).replace(self.prefix, "~")
        return _map(value, self.from_broker)

    def _symbol(self, name):
        if name not in self.symbols:
            kind = "reply-to" if name.startswith("amq.rabbitmq") else name[4:].split("-")[0]
            number = sum(s.startswith(f"<{kind}-") for s in self.real) + 1
            self.symbols[name] = f"<{kind}-{number}>"
            self.real[f"<{kind}-{number}>"] = name
        return self.symbols[name]


def _map(value, change):
    if isinstance(value, dict):
        return {key: change(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [change(inner) for inner in value]
    if isinstance(value, tuple):
        inner = [change(inner) for inner in value]
        return type(value)(*inner) if hasattr(value, "_fields") else tuple(inner)
    return value


class Channel:
    """What the player has to remember of one open channel to know when it has settled."""

    def __init__(self):
        self.own_access_requests = 0
        self.next_confirm = None
        self.unconfirmed = set()
        self.confirmed = {"basic.ack": set(), "basic.nack": set()}
        self.auto_ack_tags = set()
        self.outstanding = []

    def published(self):
        if self.next_confirm is not None:
            self.unconfirmed.add(self.next_confirm)
            self.next_confirm += 1

    def confirm(self, event):
        tag, multiple = event.args["delivery_tag"], event.args["multiple"]
        done = {t for t in self.unconfirmed if t <= tag} if multiple else {tag} & self.unconfirmed
        self.unconfirmed -= done
        self.confirmed[event.method] |= done or {f"{tag} again"}

    def delivered(self, event):
        if event.args.get("consumer_tag") not in self.auto_ack_tags:
            self.outstanding.append(event.args["delivery_tag"])

    def settle(self, tag, multiple):
        covered = (lambda t: tag in (0, t) or t <= tag) if multiple else (lambda t: t == tag)
        self.outstanding = [t for t in self.outstanding if not covered(t)]


class Link:
    """One of the program's connections, with its channels and with what came since the step began."""

    def __init__(self, port, user):
        self.connection = connection.connect(port, user=user, password=user)
        self.channels = {}
        self.log = defaultdict(list)
        self.locked = set()
        self.observing = False

    def open_channel(self, number):
        if number not in self.channels and self.connection.open:
            self.connection.send(number, "channel.open")
            if self.until(number, "channel.open-ok").method == "channel.open-ok":
                self.channels[number] = Channel()

    def until(self, channel, *methods):
        """Reads events into the log until one of `methods` comes on `channel`, or an end."""
        while True:
            event = self.connection.next_event()
            if event.channel == channel and event.method in methods:
                return event
            self.take(event)
            if event.method in _ENDS or (event.method == "channel.close" and event.channel == channel):
                return event

    def take(self, event):
        """Files one event, and answers what a client has to answer."""
        channel = self.channels.get(event.channel)
        if event.method in ("basic.ack", "basic.nack") and channel:
            return channel.confirm(event)
        self.log[event.channel].append(event)
        if event.method in ("basic.deliver",) and channel:
            channel.delivered(event)
        elif event.method == "channel.close":
            self.connection.send(event.channel, "channel.close-ok")
            self._closed(event.channel)
        elif event.method == "channel.close-ok":
            self._closed(event.channel)
        elif event.method == "connection.close":
            self.connection.send(0, "connection.close-ok")
            self.connection.abandon()
        elif event.method in ("dropped", "silence", "connection.close-ok"):
            self.connection.abandon()

    def _closed(self, number):
        """Forgets a channel, after its last confirms have been filed."""
        channel = self.channels.pop(number, None)
        if channel:
            self.file_confirms(number, channel)

    def file_confirms(self, number, channel):
        for method, tags in channel.confirmed.items():
            if tags:
                args = {"tags": sorted(tags, key=str)}
                self.log[number].append(connection.Event(number, f"confirmed by {method}", args, None, None))
                tags.clear()

    def round_trip(self, number):
        """Shows that the channel (or else the connection) has handled everything sent before."""
        if self.connection.open and number not in self.channels:
            self._observe()
            number = OBSERVER_CHANNEL
        if not self.connection.open:
            return
        channel = self.channels.get(number, Channel())
        self.connection.send(number, "access.request")
        while True:
            event = self.until(number, "access.request-ok")
            if event.method != "access.request-ok" or not channel.own_access_requests:
                return
            channel.own_access_requests -= 1
            self.log[number].append(event)

    def await_confirms(self):
        for number, channel in list(self.channels.items()):
            while channel.unconfirmed and number in self.channels and self.connection.open:
                event = self.connection.next_event()
                self.take(event)

    def _observe(self):
        """Opens the channel that the player keeps for questions of its own."""
        if not self.observing:
            self.connection.send(OBSERVER_CHANNEL, "channel.open")
            self.observing = self.until(OBSERVER_CHANNEL, "channel.open-ok").method == "channel.open-ok"

    def counts(self, queue):
        """(ready, consumers) of a queue, or None where this connection cannot see it."""
        if queue in self.locked or not self.connection.open:
            return None
        self._observe()
        self.connection.send(OBSERVER_CHANNEL, "queue.declare", queue=queue, passive=True)
        event = self.until(OBSERVER_CHANNEL, "queue.declare-ok")
        if event.method == "queue.declare-ok":
            return event.args["message_count"], event.args["consumer_count"]
        self.observing = False
        if event.args.get("reply_code") == 405:
            self.locked.add(queue)
        return None


class Player:
    """Plays one program on the broker at `port`; `prefix` keeps its names apart from other programs'."""

    def __init__(self, port, prefix):
        self.port, self.names = port, Names(prefix)
        self.links, self.queues = {}, set()
        self.observer = Link(port, "guest")

    def play(self, step):
        """What each channel saw: {(connection, channel): [events, ...]} with the program's names."""
        args = self.names.to_broker(step.args)
        link = self._link(step.conn)
        self._perform(link, step, args)
        self._settle(link, step)
        return self._seen()

    def _link(self, name):
        link = self.links.get(name)
        if not link or not link.connection.open:
            link = self.links[name] = Link(self.port, USERS[name])
        return link

    # --- performing --------------------------------------------------------------------------------

    def _perform(self, link, step, args):
        if step.chan:
            link.open_channel(step.chan)
        verbs = {"raw": self._raw, "drop": self._drop, "drain": self._drain, "basic.publish": self._publish,
                 "burst": self._burst, "connection.close": self._close, "channel.close": self._leave}
        if step.method in verbs:
            verbs[step.method](link, step, args)
        else:
            self._send(link, step, args)

    def _send(self, link, step, args):
        channel = link.channels.get(step.chan)
        if step.method == "queue.declare":
            self._expect_queue(args.get("queue"))
        if channel and not _resolve_tag(channel, args):
            return
        if channel:
            _remember(channel, step.method, args)
        link.connection.send(step.chan, step.method, **args)
        if step.method == "tx.commit" and channel:     # nothing may be sent while a commit is pending
            event = link.until(step.chan, "tx.commit-ok")
            if event.method == "tx.commit-ok":
                link.log[step.chan].append(event)

    def _expect_queue(self, name):
        if name:
            self.queues.add(name)
            for link in [self.observer, *self.links.values()]:
                link.locked.discard(name)

    def _publish(self, link, step, args):
        channel = link.channels.get(step.chan)
        if channel:
            channel.published()
        properties = self.names.to_broker(step.properties)
        link.connection.publish(step.chan, args, properties, step.body)

    def _burst(self, link, step, args):
        for number in range(args.pop("count")):
            self._publish(link, step.__class__(step.conn, step.chan, "basic.publish", {}, step.properties,
                                               step.body + b"-%d" % number), args)

    def _raw(self, link, step, args):
        link.connection.send_bytes(step.args["data"])

    def _close(self, link, step, args):
        link.connection.send(0, "connection.close", reply_code=200, reply_text="bye")
        event = link.until(0, "connection.close-ok")
        if event.method == "connection.close-ok":
            link.take(event)

    def _leave(self, link, step, args):
        if step.chan in link.channels:
            link.connection.send(step.chan, "channel.close", **args)
            event = link.until(step.chan, "channel.close-ok")
            if event.method == "channel.close-ok":
                link.take(event)

    def _drop(self, link, step, args):
        """Ends the TCP connection, and waits until the broker has noticed: its exclusive queue goes."""
        sentinel = f"{self.names.prefix}sentinel"
        link.round_trip(0)
        link.connection.call(OBSERVER_CHANNEL, "queue.declare", queue=sentinel, exclusive=True)
        link.connection.abandon()
        self.observer.locked.discard(sentinel)
        self.observer.counts(sentinel)
        while sentinel in self.observer.locked:
            self.observer.locked.discard(sentinel)
            self.observer.counts(sentinel)

    def _drain(self, link, step, args):
        """Gets every message of a queue, at most a hundred."""
        for _ in range(100):
            link.connection.send(step.chan, "basic.get", queue=args["queue"], no_ack=True)
            event = link.until(step.chan, "basic.get-ok", "basic.get-empty")
            if event.method not in _ENDS and event.method != "channel.close":
                link.log[step.chan].append(event)
            if event.method != "basic.get-ok":
                return

    # --- settling ----------------------------------------------------------------------------------

    def _settle(self, link, step):
        link.round_trip(step.chan)
        links = list(self.links.values())
        for each in links:
            each.await_confirms()
        before, rounds = None, 0
        while rounds < _ROUNDS_AT_LEAST or (self._counts() != before and rounds < _ROUNDS_AT_MOST):
            before, rounds = self._counts(), rounds + 1
        for each in links:
            for number in list(each.channels):
                each.round_trip(number)

    def _counts(self):
        """The counts of every queue that exists, asked through whoever may see it."""
        seen = {}
        for queue in sorted(self.queues):
            for link in [self.observer, *self.links.values()]:
                counts = link.counts(queue)
                if counts:
                    seen[queue] = counts
                    break
        self.queues &= set(seen)
        return seen

    # --- reporting ---------------------------------------------------------------------------------

    def _seen(self):
        seen = {}
        for name, link in self.links.items():
            for number, channel in link.channels.items():
                link.file_confirms(number, channel)
            for number, events in sorted(link.log.items()):
                if number != OBSERVER_CHANNEL and events:
                    seen[name, number] = [self._seen_event(link, event) for event in events]
            link.log.clear()
        return seen

    def _seen_event(self, link, event):
        if event.method == "queue.declare-ok":
            self.queues.add(event.args["queue"])
        if event.method == "basic.get-ok":
            channel = link.channels.get(event.channel)
            if channel and not getattr(channel, "get_no_ack", False):
                channel.delivered(event)
        body = event.body if event.body is None or len(event.body) < 200 else (len(event.body), hash(event.body))
        return event._replace(args=self.names.from_broker(event.args), body=body,
                              properties=self.names.from_broker(event.properties))

    def finish(self, names):
        """Deletes what a program may have left behind and closes everything."""
        for link in self.links.values():
            link.connection.close()
        link = self.observer
        link.open_channel(1)
        for name in [*names, *self.names.real]:
            kind = "exchange.delete" if name.lstrip("~").split("-")[-1].startswith("x") else "queue.delete"
            link.connection.send(1, kind, **{kind.split(".")[0]: self.names.to_broker(name)})
            link.round_trip(1)
            link.open_channel(1)
        link.connection.close()


def _resolve_tag(channel, args):
    """Turns `oldest`, `newest` or `middle` into a tag of this channel; False where nothing is out."""
    if not isinstance(args.get("delivery_tag"), str):
        return True
    if not channel.outstanding:
        return False
    tags = sorted(channel.outstanding)
    at = {"oldest": 0, "newest": -1, "middle": len(tags) // 2}[args["delivery_tag"]]
    args["delivery_tag"] = tags[at]
    return True


def _remember(channel, method, args):
    """Keeps what the settling and the choice of tags have to know of a method that is sent."""
    if method == "access.request":
        channel.own_access_requests += 1
    elif method == "confirm.select" and channel.next_confirm is None:
        channel.next_confirm = 1
    elif method in ("basic.ack", "basic.nack", "basic.reject"):
        channel.settle(args["delivery_tag"], args.get("multiple"))
    elif method == "basic.consume" and args.get("no_ack"):
        channel.auto_ack_tags.add(args.get("consumer_tag"))
    elif method == "basic.get":
        channel.get_no_ack = args.get("no_ack", False)
    elif method.startswith("basic.recover"):
        channel.outstanding.clear()
