"""One AMQP connection for tests: a blocking socket, the handshake, and frames turned into events.

Never answers anything by itself apart from the handshake: what a test wants to see, it sees.
"""

import socket
import struct
from collections import deque, namedtuple

import wire

# Longer than any answer takes, also on a busy machine; a broker that is silent this long has failed.
PATIENCE_SECS = 20

Event = namedtuple("Event", "channel method args properties body")

CAPABILITIES = {"consumer_cancel_notify": True, "connection.blocked": True,
                "authentication_failure_close": True, "basic.nack": True, "publisher_confirms": True}


def gone(why="dropped"):
    """The event that stands for the end of the TCP connection."""
    return Event(0, why, {}, None, None)


class Connection:
    """A connection to a broker on loopback; `login` runs the handshake as most clients do."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE_SECS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frame_max = 4096
        self.open = True
        self._received = bytearray()
        self._events = deque()
        self._partial = {}

    # --- sending -----------------------------------------------------------------------------------

    def send_bytes(self, data):
        """Writes raw bytes; a peer that is gone already shows at the next read."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.open = False

    def send(self, channel, method, **args):
        self.send_bytes(wire.method_frame(channel, method, **args))

    def publish(self, channel, args, properties, body):
        self.send_bytes(wire.publish_frames(channel, args, properties, body, self.frame_max))

    # --- receiving ---------------------------------------------------------------------------------

    def next_event(self, patience=PATIENCE_SECS):
        """The next method (with its content) from the broker; `dropped` at the end of the stream;
        `silence` if nothing came for `patience` seconds."""
        while not self._events:
            try:
                self.socket.settimeout(patience)
                chunk = self.socket.recv(65536)
            except socket.timeout:
                return gone("silence")
            except (ConnectionResetError, OSError):
                chunk = b""
            if not chunk:
                self.open = False
                return gone()
            self._received += chunk
            self._parse()
        return self._events.popleft()

    def _parse(self):
        while len(self._received) >= 8:
            if self._received.startswith(b"AMQP"):
                version = bytes(self._received[4:8])
                del self._received[:8]
                self._events.append(Event(0, "protocol-header", {"version": version}, None, None))
                continue
            kind, channel, size = struct.unpack(">BHI", self._received[:7])
            if len(self._received) < size + 8:
                return
            payload, end = bytes(self._received[7:7 + size]), self._received[7 + size]
            del self._received[:size + 8]
            assert end == 0xCE, f"the broker's frame ends with {end}"
            self._frame(kind, channel, payload)

    def _frame(self, kind, channel, payload):
        if kind == wire.METHOD:
            name, args = wire.read_method(payload)
            if name in wire.CARRIES_CONTENT:
                self._partial[channel] = [name, args, None, None, b""]
            else:
                self._events.append(Event(channel, name, args, None, None))
        elif kind == wire.HEADER:
            partial = self._partial[channel]
            partial[2], partial[3] = wire.read_content_header(payload)
            self._finish(channel)
        elif kind == wire.BODY:
            self._partial[channel][4] += payload
            self._finish(channel)

    def _finish(self, channel):
        name, args, size, properties, body = self._partial[channel]
        assert len(body) <= size, "more body than the header says"
        if len(body) == size:
            del self._partial[channel]
            self._events.append(Event(channel, name, args, properties, body))

    def wait_for(self, channel, *methods, patience=PATIENCE_SECS):
        """Reads until one of `methods` comes on `channel`, or the connection ends; drops the rest."""
        while True:
            event = self.next_event(patience)
            if event.channel == channel and event.method in methods:
                return event
            if event.method in ("dropped", "silence", "connection.close"):
                return event

    def call(self, channel, method, **args):
        """Sends a method and waits for its -ok, or for the close of the channel or connection."""
        self.send(channel, method, **args)
        return self.wait_for(channel, method + "-ok", "channel.close", "basic.get-empty", "basic.get-ok")

    # --- handshake ---------------------------------------------------------------------------------

    def login(self, user="guest", password="guest", vhost="/", capabilities=True, heartbeat=0,
              channel_max=2047, frame_max=131072):
        """The whole handshake; returns open-ok, or whatever came in its place."""
        self.start_ok(user, password, capabilities)
        tune = self.wait_for(0, "connection.tune")
        if tune.method != "connection.tune":
            return tune
        self.send(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat)
        self.frame_max = frame_max
        return self.call(0, "connection.open", virtual_host=vhost)

    def start_ok(self, user="guest", password="guest", capabilities=True, mechanism="PLAIN", response=None):
        self.send_bytes(wire.PROTOCOL_HEADER)
        start = self.wait_for(0, "connection.start")
        offered = {"capabilities": CAPABILITIES} if capabilities else {}
        plain = f"\0{user}\0{password}" if response is None else response
        self.send(0, "connection.start-ok", client_properties={"product": "leveret-tests", **offered},
                  mechanism=mechanism, response=plain, locale="en_US")
        return start

    def close(self):
        """Closes the connection politely if it still is there, and the socket."""
        if self.open:
            self.send(0, "connection.close", reply_code=200, reply_text="bye")
            self.wait_for(0, "connection.close-ok")
        self.abandon()

    def abandon(self):
        """Ends the TCP connection without a word."""
        self.open = False
        self.socket.close()


def connect(port, **options):
    """A connection that has logged in; raises where the broker refused."""
    connection = Connection(port)
    answer = connection.login(**options)
    if answer.method != "connection.open-ok":
        raise ConnectionError(f"login failed: {answer}")
    return connection
