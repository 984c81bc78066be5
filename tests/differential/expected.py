"""Where Leveret means to differ from the RabbitMQ that it is compared with (Debian's 3.10).

Leveret follows the newest RabbitMQ wherever that breaks no client. Each entry says which and why, and
rewrites what the older broker said into what the newer one would say, so that the rest of the frame is
still compared. What differs and is not in this table is a defect. (Where a whole situation ends otherwise,
situations.py says so at that situation, with its reason in `newer`.)
"""

from dataclasses import dataclass
from typing import Callable

import wire


@dataclass
class Expected:
    name: str
    reason: str
    theirs: Callable = lambda step, event: event
    ours: Callable = lambda step, event: event


def _with_text(event, text):
    return event._replace(args={**event.args, "reply_text": text[:255]})


_PERMISSIONS = {
    "exchange.declare": "configure", "queue.declare": "configure", "exchange.delete": "configure",
    "queue.delete": "configure", "basic.get": "read", "basic.consume": "read", "queue.purge": "read",
    "basic.publish": "write", "burst": "write",
}


def _named_permission(step, event):
    text = event.args.get("reply_text", "")
    start = "ACCESS_REFUSED - access to "
    if event.method != "channel.close" or not text.startswith(start):
        return event
    if "refused for user" not in text and len(text) < 255:
        return event
    return _with_text(event, f"ACCESS_REFUSED - {_permission(step, text)} access to " + text[len(start):])


def _permission(step, text):
    """The permission that was missing: binding needs write on one end and read on the other, and a
    declaration read or write on what its arguments name."""
    named = text.split("'")[1]
    if step.method in ("queue.bind", "queue.unbind"):
        return "write" if "access to queue" in text else "read"
    if step.method in ("exchange.bind", "exchange.unbind"):
        return "write" if step.args.get("destination") == named else "read"
    arguments = step.args.get("arguments") or {}
    if named in (step.args.get("exchange"), step.args.get("queue")):
        return _PERMISSIONS.get(step.method, "configure")
    if named in (arguments.get("alternate-exchange"), arguments.get("x-dead-letter-exchange")):
        return "write"
    return _PERMISSIONS.get(step.method, "configure")


def _without_last_death(_step, event):
    headers = (event.properties or {}).get("headers")
    if headers is None or not any(name.startswith("x-last-death-") for name, _ in headers):
        return event
    kept = [(name, value) for name, value in headers if not name.startswith("x-last-death-")]
    return event._replace(properties={**event.properties, "headers": kept})


def _death_fields(_step, event):
    """The time of a death is whatever the clock said, and its fields come in the order of the version."""
    headers = (event.properties or {}).get("headers")
    if not headers or not any(name == "x-death" for name, _ in headers):
        return event
    changed = [(name, _without_order(value) if name == "x-death" else value) for name, value in headers]
    return event._replace(properties={**event.properties, "headers": changed})


def _without_order(value):
    if value.kind == "A":
        return wire.Field("A", [_without_order(inner) for inner in value.value])
    if value.kind == "F":
        return wire.Field("F", sorted((k, wire.Field(v.kind, 0) if k == "time" else v) for k, v in value.value))
    return value


def _uncounted_reply(_step, event):
    if event.method != "basic.deliver" or not event.args["routing_key"].startswith("<reply-to-"):
        return event
    return event._replace(args={**event.args, "delivery_tag": 0})


_CLOCK = Expected("death-fields", "x-death carries the time; main has original-expiration as its first field",
                  theirs=_death_fields, ours=_death_fields)

EXPECTED = [
    _CLOCK,
    Expected("permission-named",
             "since 3.12 the text of a refusal begins with the permission that is missing",
             theirs=_named_permission),
    Expected("last-death",
             "since 3.13 a dead-lettered message also says where it died last",
             ours=_without_last_death),
    Expected("reply-counted",
             "since 4.0 a reply to amq.rabbitmq.reply-to takes a delivery tag like any delivery",
             theirs=_uncounted_reply, ours=_uncounted_reply),
]


# Off while RabbitMQ is compared with itself, which shows that the runner itself is free of chance.
enabled = True


def newest(step, event):
    """What the newest RabbitMQ would have said where the one beside us said `event`."""
    for each in EXPECTED if enabled else [_CLOCK]:
        event = each.theirs(step, event)
    return event


def comparable(step, event):
    """Our event without what only we send."""
    for each in EXPECTED if enabled else [_CLOCK]:
        event = each.ours(step, event)
    return event
