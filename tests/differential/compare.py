"""Compares what two brokers answered to the same step: codes, scopes, ids and contents exactly."""

import expected


def differences(step, theirs, ours):
    """One line per difference between {(connection, channel): events} of RabbitMQ and of Leveret."""
    found = []
    for where in sorted(set(theirs) | set(ours)):
        left = [expected.newest(step, e) for e in theirs.get(where, [])]
        right = [expected.comparable(step, e) for e in ours.get(where, [])]
        closing = _closes(theirs, where) or _closes(ours, where)     # what is still delivered then is chance
        for kind in (_replies,) if closing else (_replies, _deliveries):
            found += _compare(where, kind(left), kind(right))
        found += [f"{where}: Leveret: {line}" for line in disorder(ours.get(where, []))]
    return found


def _closes(seen, where):
    """Whether the connection of this channel was closed."""
    return any(e.method.startswith("connection.close") for e in seen.get((where[0], 0), []))


def _replies(events):
    """Everything but deliveries; confirms last, because brokers coalesce and time them as they like."""
    rest = [e for e in events if e.method != "basic.deliver"]
    return sorted(rest, key=lambda e: e.method.startswith("confirmed by"))


def _deliveries(events):
    return [e for e in events if e.method == "basic.deliver"]


def disorder(events):
    """What a client relies on in the order of different frames: consume-ok first, cancel-ok last."""
    lines, started, ended = [], set(), set()
    known = {e.args["consumer_tag"] for e in events if e.method == "basic.consume-ok"}
    for event in events:
        tag = event.args.get("consumer_tag")
        if event.method == "basic.consume-ok":
            started.add(tag)
        elif event.method == "basic.cancel-ok":
            ended.add(tag)
        elif event.method == "basic.deliver" and (tag in ended or tag in known - started):
            lines.append(f"delivery to {tag!r} outside its consume-ok and cancel-ok")
    return lines


def _compare(where, left, right):
    found = []
    for index in range(max(len(left), len(right))):
        a = left[index] if index < len(left) else None
        b = right[index] if index < len(right) else None
        if not same(a, b):
            found.append(f"{where}: RabbitMQ: {show(a)}\n{' ' * len(str(where))}  Leveret:  {show(b)}")
    return found


def same(theirs, ours):
    """Equal, but for a reply text: RabbitMQ's must be the beginning of ours."""
    if theirs is None or ours is None or theirs.method != ours.method:
        return theirs is ours
    a, b = dict(theirs.args), dict(ours.args)
    text, longer = a.pop("reply_text", ""), b.pop("reply_text", "")
    if len(text.encode()) > 200 and text.endswith("..."):     # RabbitMQ marks where it cut a text at 255 bytes
        text = text[:-3]
    return longer.startswith(text) and (a, theirs.properties, theirs.body) == (b, ours.properties, ours.body)


def show(event):
    if event is None:
        return "nothing"
    words = [event.method] + [f"{key}={value!r}" for key, value in event.args.items()]
    if event.properties:
        words.append(f"properties={event.properties!r}")
    if event.body is not None:
        words.append(f"body={event.body!r}")
    return " ".join(words)
