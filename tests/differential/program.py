"""What a client program is: a list of steps, each one thing done on one channel of one connection.

Names start with `~`, which a player replaces by a prefix of its own, so that programs do not meet.
"""

from dataclasses import dataclass, field

GUEST, LIMITED = "guest", "lim"
# Connections by name: two of guest's, and one of a user who may touch names with "ok-" in them only.
USERS = {"a": GUEST, "b": GUEST, "lim": LIMITED}
LIMITED_PATTERN = r"ok-"


@dataclass
class Step:
    """One method (or one of the player's own verbs: `burst`, `drop`, `drain`, `raw`)."""

    conn: str
    chan: int
    method: str
    args: dict = field(default_factory=dict)
    properties: dict = field(default_factory=dict)
    body: bytes = b""

    def __str__(self):
        words = [f"{self.conn}/{self.chan} {self.method}"]
        words += [f"{key}={value!r}" for key, value in self.args.items()]
        if self.properties:
            words.append(f"properties={self.properties!r}")
        if self.body:
            words.append(f"body={shorten(self.body)}")
        return " ".join(words)


def shorten(body):
    return repr(body) if len(body) <= 40 else f"{body[:16]!r}... ({len(body)} bytes)"


def on(conn="a", chan=1):
    """A maker of steps on one channel: `do("queue.declare", queue="~q")`."""
    def do(method, properties=None, body=b"", **args):
        return Step(conn, chan, method, args, properties or {}, body)
    return do


def publish(exchange="", routing_key="", body=b"m", properties=None, conn="a", chan=1, **flags):
    return Step(conn, chan, "basic.publish", {"exchange": exchange, "routing_key": routing_key, **flags},
                properties or {}, body)


def raw(*chunks, conn="a", chan=1):
    """Bytes as they are, after channel `chan` was opened."""
    return Step(conn, chan, "raw", {"data": b"".join(chunks)})
