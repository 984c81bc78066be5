"""What may go wrong before a connection is open, and with its frames as such.

Each handshake is a function that plays it and returns the events it brought, compared as a whole.
"""

import struct
from dataclasses import dataclass
from typing import Callable

import wire
from compare import show
from connection import Connection, Event


@dataclass
class Handshake:
    number: int
    title: str
    play: Callable
    expect: list

    def run(self, port):
        """The events it brings from the broker at `port`."""
        connection = Connection(port)
        try:
            return self.play(connection)
        finally:
            connection.abandon()

    def check(self, port):
        """None, or what was wrong."""
        seen = self.run(port)
        if [_key(event) for event in seen] == self.expect:
            return None
        return f"wanted {self.expect}\n    " + "\n    ".join(show(event) for event in seen)

    def is_same(self, theirs_port, ours_port):
        """Whether it brings the same from both brokers; prints where it does not."""
        theirs, ours = [_key(e) for e in self.run(theirs_port)], [_key(e) for e in self.run(ours_port)]
        if theirs != ours:
            print(f"handshake {self.number} ({self.title}) differs:\n  RabbitMQ: {theirs}\n  Leveret:  {ours}", flush=True)
        return theirs == ours


def _key(event):
    """An event as the table writes it: its name, and for a close all that it says."""
    if not event.method.endswith(".close"):
        return event.method
    args = event.args
    return event.method, args["reply_code"], args["class_id"], args["method_id"], args["reply_text"]


def closed(code, ids, text):
    return [("connection.close", code, *ids, text)]


HANDSHAKES = []


def handshake(number, title, expect):
    def add(play):
        HANDSHAKES.append(Handshake(number, title, play, expect))
        return play
    return add


def rest(connection, *first):
    """Everything that still comes, up to a close or the end."""
    events = list(first)
    while not events or not (events[-1].method in ("dropped", "silence", "connection.close")):
        events.append(connection.next_event())
    return events


def _sent(connection, data):
    connection.send_bytes(data)
    return rest(connection)


@handshake(67, "a header of another protocol", ["protocol-header", "dropped"])
def other_protocol(connection):
    events = _sent(connection, b"HELO\x00\x00\x09\x01")
    assert events[0].method != "protocol-header" or events[0].args["version"] == b"\0\0\x09\x01"
    return events


@handshake(67, "a header of another version", ["protocol-header", "dropped"])
def other_version(connection):
    return _sent(connection, b"AMQP\x00\x00\x08\x00")


@handshake(65, "wrong password, from a client that can be told",
           closed(403, (0, 0), "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                               "For details see the broker logfile."))
def wrong_password(connection):
    connection.start_ok(password="wrong")
    return rest(connection)


@handshake(65, "unknown user, from a client that can be told",
           closed(403, (0, 0), "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                               "For details see the broker logfile."))
def unknown_user(connection):
    connection.start_ok(user="nobody-at-all")
    return rest(connection)


@handshake(66, "wrong password, from a client that cannot be told", ["dropped"])
def wrong_password_silent(connection):
    connection.start_ok(password="wrong", capabilities=False)
    return rest(connection)


@handshake(67, "unknown mechanism", ["dropped"])
def unknown_mechanism(connection):
    connection.start_ok(mechanism="BOGUS")
    return rest(connection)


@handshake(67, "a PLAIN response without its zero bytes", ["dropped"])
def malformed_plain(connection):
    connection.start_ok(response="guest")
    return rest(connection)


@handshake(2, "AMQPLAIN", ["connection.open-ok"])
def amqplain(connection):
    response = wire.write_table({"LOGIN": "guest", "PASSWORD": "guest"})[4:]
    connection.start_ok(mechanism="AMQPLAIN", response=response)
    return [_opened(connection, 2047, 131072)]


def _opened(connection, channel_max, frame_max, vhost="/"):
    tune = connection.wait_for(0, "connection.tune")
    if tune.method != "connection.tune":
        return tune
    connection.send(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=0)
    return connection.call(0, "connection.open", virtual_host=vhost)


@handshake(2, "a whole handshake sent at once", ["connection.start", "connection.tune", "connection.open-ok"])
def pipelined(connection):
    connection.send_bytes(
        wire.PROTOCOL_HEADER
        + wire.method_frame(0, "connection.start-ok", mechanism="PLAIN", response="\0guest\0guest", locale="en_US")
        + wire.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=0)
        + wire.method_frame(0, "connection.open", virtual_host="/"))
    return [connection.next_event() for _ in range(3)]


@handshake(2, "the smallest frame_max", ["connection.open-ok"])
def small_frames(connection):
    return [connection.login(frame_max=4096)]


@handshake(68, "unknown virtual host", closed(530, (10, 40), "NOT_ALLOWED - vhost nope not found"))
def unknown_vhost(connection):
    return [connection.login(vhost="nope")]


@handshake(69, "no permission for the virtual host",
           closed(530, (10, 40), "NOT_ALLOWED - access to vhost '/' refused for user 'none'"))
def refused_vhost(connection):
    return [connection.login(user="none", password="none")]


@handshake(76, "tune-ok: more channels than offered", ["dropped"])
def too_many_channels_tuned(connection):
    return [connection.login(channel_max=0)]


@handshake(76, "tune-ok: frame_max too small", ["dropped"])
def too_small_frames_tuned(connection):
    return [connection.login(frame_max=4095)]


@handshake(77, "one channel more than negotiated",
           closed(530, (0, 0), "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)"))
def one_channel_more(connection):
    connection.login(channel_max=2)
    connection.call(1, "channel.open")
    connection.call(50, "channel.open")
    return [connection.call(2, "channel.open")]


@handshake(78, "frame larger than negotiated",
           closed(501, (0, 0), "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,8193,8184}"))
def large_frame(connection):
    connection.login(frame_max=8192)
    connection.call(1, "channel.open")
    return _sent(connection, wire.method_frame(1, "basic.publish", routing_key="q")
                 + wire.write_frame(wire.HEADER, 1, wire.write_content_header(9000, {}))
                 + wire.write_frame(wire.BODY, 1, b"x" * 8193))


@handshake(41, "a channel before connection.open",
           closed(505, (0, 0), "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>"))
def channel_too_early(connection):
    connection.start_ok()
    connection.wait_for(0, "connection.tune")
    connection.send(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
    connection.send(1, "channel.open")
    return rest(connection)


@handshake(95, "a client that falls silent", ["dropped"])
def missed_heartbeats(connection):
    connection.login(heartbeat=1)
    return rest(connection)


@handshake(46, "a header that nests tables without end", ["dropped"])
def nested_tables(connection):
    deep = b""
    for _ in range(1500):
        deep = b"\x01aF" + struct.pack(">I", len(deep)) + deep
    table = struct.pack(">I", len(deep)) + deep
    payload = struct.pack(">HH", 10, 11) + table + wire.write_shortstr("PLAIN")
    connection.send_bytes(wire.PROTOCOL_HEADER)
    connection.wait_for(0, "connection.start")
    connection.send_bytes(wire.write_frame(wire.METHOD, 0, payload + struct.pack(">I", 0) + b"\0"))
    return rest(connection)[-1:]


__all__ = ["HANDSHAKES", "Handshake", "Event"]
