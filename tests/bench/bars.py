"""How fast Leveret has to be: one bar per kind of work, each measured beside the relay in the same run.

    python3 tests/run bench transient-16             # one bar
    python3 tests/run bench all --rabbitmq           # all of them, with RabbitMQ beside, as a table for the README

The relay is a fake broker that passes messages on and does nothing else: the least that the work can
cost. CPU is the server's, in seconds per million messages delivered. Runs of the contenders take turns
(A B A B ...), and medians are compared.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "clients"))

import broker

YARDSTICK = Path(__file__).with_name("yardstick")
CPU = "server_cpu_s_per_m_delivered"


@dataclass
class Bar:
    """What Leveret's `metric` may be at most: `limit`, or `times` the baseline's, or `plus` more than it."""

    name: str
    work: str
    scenario: str
    metric: str = CPU
    times: float = 0
    plus: float = 0
    limit: float = 0
    # What the baseline runs: the relay the same scenario, or else Leveret this one.
    baseline: str = ""
    # Whether the relay can do it, and whether RabbitMQ can.
    relay: bool = True
    rabbitmq: bool = True

    def allowed(self, baseline):
        return self.limit or (baseline + self.plus if self.plus else baseline * self.times)

    def words(self):
        against = "the baseline" if self.baseline else "relay"
        if self.limit:
            return f"<= {self.limit:g} {unit(self.metric)}"
        return f"<= +{self.plus:g} {unit(self.metric)}" if self.plus else f"<= {self.times:g}x {against}"


def unit(metric):
    for ending, word in (("_us", "us"), ("_mib", "MiB"), ("_kib", "KiB")):
        if metric.endswith(ending):
            return word
    return "s/M"


_FOUR = "throughput --queues 4 --routing-keys 100 --consumers 4"
_TOPIC = "routing --queues 1 --confirms 1000"
BARS = [
    Bar("transient-16", "transient 16 B, auto-ack", "throughput", times=2.5),
    Bar("transient-1k", "transient 1 KiB, auto-ack", "throughput --size 1024", times=1.5),
    Bar("transient-16k", "transient 16 KiB, auto-ack", "throughput --size 16384", times=1.4),
    Bar("acks", "16 B, ack every 100, prefetch 1000", "throughput --ack 100 --prefetch 1000", limit=0.20),
    Bar("fanout", "fanout to 10 queues, per delivery", "fanout --queues 10", limit=0.07, relay=False),
    Bar("many", "4 publishers, 4 consumers, 4 queues, 16 B", "throughput --publishers 4 --consumers 4 --queues 4",
        limit=0.18),
    Bar("latency-p50", "latency at 5,000/s, p50", "latency --rate 5000", metric="latency_p50_us", times=1.1),
    Bar("latency-p99", "latency at 5,000/s, p99", "latency --rate 5000", metric="latency_p99_us", times=1.2),
    Bar("topic-hot", "topic, 10,000 bindings against 10: 10 hot keys", f"{_TOPIC} --bindings 10000 --routing-keys 10",
        times=1.3, baseline=f"{_TOPIC} --bindings 10 --routing-keys 10"),
    Bar("topic-cold", "topic, 10,000 bindings against 10: 10,000 keys in turn",
        f"{_TOPIC} --bindings 10000 --routing-keys 10000", times=2.5,
        baseline=f"{_TOPIC} --bindings 10 --routing-keys 10"),
    Bar("lua-shard", "x-lua-shard against direct", f"{_FOUR} --exchange-type x-lua-shard --binding-key shard", times=1.3,
        baseline=f"{_FOUR} --exchange-type direct", rabbitmq=False),
    Bar("lua-random", "x-lua-random against direct", f"{_FOUR} --exchange-type x-lua-random --binding-key any",
        plus=0.35, baseline=f"{_FOUR} --exchange-type direct", rabbitmq=False),
    Bar("idle-memory", "RSS when idle", "connections --connections 1 --channels 1", metric="server_rss_empty_mib",
        limit=12),
    Bar("connection-memory", "RSS per connection with one channel (1,000 of them)",
        "connections --connections 1000 --channels 1", metric="connection_kib", limit=8),
]


@dataclass
class Contender:
    """A server under load."""

    name: str
    port: int
    pid: int
    scenario: str


def binary():
    """The yardstick, built in its own target directory."""
    target = broker.TARGET / "yardstick"
    subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", YARDSTICK / "Cargo.toml",
                    "--target-dir", target], check=True)
    return target / "release" / "yardstick"


@contextlib.contextmanager
def relay(yardstick):
    """The relay on a free port, for the time of a `with`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([yardstick, "relay", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        broker.wait_for_port(port)
        yield broker.Running(port, process.pid)
    finally:
        process.kill()
        process.wait()


def prefer(pid):
    """Where the kernel shares by session, gives this one its share; needs root, and does no harm without."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-10")


def measure(yardstick, contender, options):
    """One run: the report of the yardstick."""
    command = [yardstick, *contender.scenario.split(), "--port", str(contender.port), "--server-pid",
               str(contender.pid), "--seconds", str(options.seconds), "--json"]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, start_new_session=True,
                          preexec_fn=lambda: prefer(os.getpid()))
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{contender.name}: yardstick ended with {done.returncode}")
    report = json.loads(done.stdout)
    if report["faults"]:
        print(f"  FAULT on {contender.name}: {report['faults']}")
    if "server_rss_full_mib" in report:
        used = report["server_rss_full_mib"] - report["server_rss_empty_mib"]
        report["connection_kib"] = used * 1024 / report["connections"]
    return report


def contenders(bar, stack, yardstick, options):
    """Who takes part: the baseline first, then Leveret, then RabbitMQ where asked for."""
    ours = stack.enter_context(broker.leveret(options.leveret_port, config=""))
    out = [Contender("Leveret", ours.port, ours.pid or "auto", bar.scenario)]
    if bar.baseline:
        out.insert(0, Contender("baseline", ours.port, ours.pid or "auto", bar.baseline))
    elif bar.relay:
        floor = stack.enter_context(relay(yardstick))
        out.insert(0, Contender("relay", floor.port, floor.pid, bar.scenario))
    if options.rabbitmq and bar.rabbitmq:
        rabbitmq = stack.enter_context(broker.rabbitmq(options.rabbitmq_port))
        out.append(Contender("RabbitMQ", rabbitmq.port, rabbitmq.pid or "auto", bar.scenario))
    for each in out:
        prefer(each.pid)
    return out


def run_bar(bar, yardstick, options):
    """Medians by contender: {name: value}."""
    values = {}
    rounds = 1 if bar.metric.endswith(("_mib", "_kib")) else options.rounds    # freed memory hides growth
    with contextlib.ExitStack() as stack:
        taking_part = contenders(bar, stack, yardstick, options)
        for _ in range(rounds):
            for each in taking_part:
                report = measure(yardstick, each, options)
                values.setdefault(each.name, []).append(report[bar.metric])
    return {name: statistics.median(each) for name, each in values.items()}


def show(value):
    if not value:
        return "-"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def verdict(bar, medians):
    """(met, one row of the table)."""
    baseline = medians.get("relay", medians.get("baseline", 0))
    ours, allowed = medians["Leveret"], bar.allowed(baseline)
    met = ours <= allowed
    other = show(medians.get("RabbitMQ"))
    ratio = f"{ours / baseline:.2f}x" if baseline else "-"
    row = f"| {bar.work} | {bar.words()} | {show(baseline)} | {show(ours)} {unit(bar.metric)} | {ratio} | {other} | "
    return met, row + ("met" if met else "**missed**") + " |"


HEAD = ("| work | bar | relay or baseline | Leveret | ratio | RabbitMQ 3.10 | |\n"
        "|---|---|---|---|---|---|---|")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bars", nargs="+", help="all, or " + ", ".join(bar.name for bar in BARS))
    parser.add_argument("--rabbitmq", action="store_true", help="measure RabbitMQ as well")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, in turns (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="measured time of a run (default 3)")
    parser.add_argument("--leveret-port", type=int, help="a broker that runs already")
    parser.add_argument("--rabbitmq-port", type=int, help="a RabbitMQ that runs already")
    options = parser.parse_args(arguments)
    unknown = set(options.bars) - {bar.name for bar in BARS} - {"all", "latency", "memory", "topic", "lua"}
    if unknown:
        parser.error(f"no bar {', '.join(sorted(unknown))}: {', '.join(bar.name for bar in BARS)}")
    return options


def chosen(names):
    """The bars of that name; a word such as `latency` stands for all that contain it."""
    return [bar for bar in BARS if "all" in names or any(name == bar.name or name in bar.name.split("-") for name in names)]


def main(arguments):
    options = parse(arguments)
    yardstick, missed, rows = binary(), 0, []
    for bar in chosen(options.bars):
        met, row = verdict(bar, run_bar(bar, yardstick, options))
        missed += not met
        rows.append(row)
        print(row, flush=True)
    if len(rows) > 1:
        print("\n".join([HEAD, *rows]))
    print(f"{len(rows) - missed} passed, {missed} failed, 0 skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
