"""Runs the programs of examples/tutorial and the Lua examples as their users would, and looks at what they print.

Needs pika. `python3 tests/run examples` starts it; AMQP_PORT names a broker that runs already (the tests
that restart the broker or configure users are then skipped).
"""

import os
import shlex
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import broker
import pika
from program import Program, first_to_say
from report import main

TUTORIAL = broker.ROOT / "examples" / "tutorial"
OTHER_PORT = int(os.environ.get("AMQP_PORT") or 0)
# Unchanged RabbitMQ text: applications look for it.
INEQUIVALENT = ("PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'task_queue' in vhost '/': "
                "received 'false' but current is 'true'")


class Tutorial(unittest.TestCase):
    """One broker for all of them, as a newcomer would have it."""

    @classmethod
    def setUpClass(cls):
        cls.running = broker.Running(OTHER_PORT) if OTHER_PORT else broker.Leveret()

    @classmethod
    def tearDownClass(cls):
        cls.running.stop()

    def setUp(self):
        self.channel().queue_delete("task_queue")

    def start(self, name, *arguments, waiting=True):
        """Starts a program; with `waiting`, returns when it says that it waits."""
        program = Program([sys.executable, TUTORIAL / name, *arguments], url(self.running.port))
        self.addCleanup(program.kill)
        if waiting:
            program.wait_for("waiting for")
        return program

    def run_to_end(self, name, *arguments):
        return self.start(name, *arguments, waiting=False).finish()

    def channel(self):
        connection = pika.BlockingConnection(pika.URLParameters(url(self.running.port)))
        self.addCleanup(close, connection)
        return connection.channel()

    def test_hello_world_arrives(self):
        receiver = self.start("hello_receive.py")
        self.assertEqual(self.run_to_end("hello_send.py"), ["sent 'hello world'"])
        receiver.wait_for("received 'hello world'")

    def test_a_task_that_nobody_could_finish_goes_to_the_other_worker(self):
        first = self.start("task_worker.py")
        self.run_to_end("task_new.py", "long" + "." * 60)
        first.wait_for("working on 'long....")
        second = self.start("task_worker.py")
        first.kill()
        second.wait_for("working on 'long....")

    def test_a_busy_worker_gets_no_second_task(self):
        busy, idle = self.start("task_worker.py"), self.start("task_worker.py")
        self.run_to_end("task_new.py", "long" + "." * 60, "a", "b", "c")
        if first_to_say("working on 'long", busy, idle) is idle:
            busy, idle = idle, busy
        for task in "abc":
            idle.wait_for(f"done with '{task}'")

    def test_two_receivers_take_turns(self):
        channels = [self.channel(), self.channel()]
        queue = channels[0].queue_declare(queue="turns").method.queue
        got = [[], []]
        for channel, list_ in zip(channels, got):
            channel.basic_consume(queue, lambda _c, _m, _p, body, seen=list_: seen.append(body), auto_ack=True)
        for number in range(1, 7):
            channels[0].basic_publish("", queue, str(number))
        for channel, list_ in zip(channels, got):
            while len(list_) < 3:
                channel.connection.process_data_events(time_limit=10)
        self.assertEqual(got, [[b"1", b"3", b"5"], [b"2", b"4", b"6"]])

    def test_a_queue_is_not_redeclared_with_other_properties(self):
        self.channel().queue_declare("task_queue", durable=True)
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as refused:
            self.channel().queue_declare("task_queue", durable=False)
        self.assertEqual(refused.exception.reply_code, 406)
        self.assertTrue(refused.exception.reply_text.startswith(INEQUIVALENT), refused.exception.reply_text)

    def test_logs_reach_everybody_who_listens(self):
        listeners = [self.start("log_receive.py"), self.start("log_receive.py")]
        self.run_to_end("log_emit.py", "first")
        for listener in listeners:
            listener.wait_for("first")
        late = self.start("log_receive.py")
        self.run_to_end("log_emit.py", "second")
        for listener in [*listeners, late]:
            listener.wait_for("second")
        self.assertFalse(late.has("first"))

    def test_logs_by_severity(self):
        errors, all_ = self.start("severity_receive.py", "err"), self.start("severity_receive.py", "info", "err")
        for severity in ("info", "err"):
            self.run_to_end("severity_emit.py", severity, f"about {severity}")
        all_.wait_for("err: about err")
        errors.wait_for("err: about err")
        self.assertTrue(all_.has("info: about info"))
        self.assertFalse(errors.has("info"))

    def test_logs_by_topic(self):
        warnings, infos, everything = (self.start("topic_receive.py", p) for p in ("[warn].*", "info.*", "#"))
        for key in ("[warn].kern", "info.mail", "[warn].kern.deep"):
            self.run_to_end("topic_emit.py", key, "hello")
        everything.wait_for("[warn].kern.deep: hello")
        warnings.wait_for("[warn].kern: hello")
        infos.wait_for("info.mail: hello")
        self.assertEqual(warnings.lines(), ["waiting for logs", "[warn].kern: hello"])
        self.assertEqual(infos.lines(), ["waiting for logs", "info.mail: hello"])

    def test_a_call_of_a_remote_procedure(self):
        self.start("rpc_server.py")
        self.assertEqual(self.run_to_end("rpc_client.py", "30"), ["asking for fib(30)", "got 832040"])

    def test_the_centre_has_a_number_increased(self):
        self.start("compute.py")
        self.assertEqual(self.run_to_end("centre.py", "30"), ["asking for increase(30)", "got 31"])

    def test_line_1_of_every_program_runs_it(self):
        for path in sorted(TUTORIAL.glob("*.py")):
            command = shlex.split(path.read_text().splitlines()[0].partition("  (")[0])
            self.assertEqual(command[:3], ["#", "python3", f"examples/tutorial/{path.name}"])


@unittest.skipIf(OTHER_PORT, "a broker that runs already is not restarted or configured")
class Configured(unittest.TestCase):
    """What needs a broker of its own."""

    def test_persistent_tasks_survive_a_kill(self):
        running = broker.Leveret()
        self.addCleanup(running.stop)
        Program([sys.executable, TUTORIAL / "task_new.py", "a", "b"], url(running.port)).finish()
        running.kill()
        running.start()
        worker = Program([sys.executable, TUTORIAL / "task_worker.py"], url(running.port))
        self.addCleanup(worker.kill)
        worker.wait_for("done with 'b'")
        self.assertTrue(worker.has("done with 'a'"))

    def test_a_user_of_the_configuration_connects_from_another_address(self):
        """In a network namespace of its own, with an address that is not loopback's."""
        script = ("ip link set lo up && ip address add 10.20.30.40/32 dev lo && "
                  f"exec {shlex.quote(sys.executable)} {shlex.quote(__file__)} --from-another-address")
        if not shutil.which("ip") or subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no network namespace to be had (unshare --net, ip)")
        done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, "wt is welcome, guest is not\n"), done.stderr)

    def test_a_lua_exchange_keeps_a_key_on_one_queue(self):
        running = broker.Leveret()
        self.addCleanup(running.stop)
        connection = pika.BlockingConnection(pika.URLParameters(url(running.port)))
        self.addCleanup(close, connection)
        channel = connection.channel()
        channel.exchange_declare("shards", "x-lua-shard")
        queues = [channel.queue_declare(f"shard{n}").method.queue for n in range(3)]
        for queue in queues:
            channel.queue_bind(queue, "shards", routing_key="")
        for number in range(300):
            channel.basic_publish("shards", f"user{number % 30}", str(number))
        got = [drained(channel, queue) for queue in queues]
        self.assertEqual(sum(map(len, got)), 300)
        keys = [set(shard) for shard in got]
        self.assertTrue(all(keys), "every queue has its share of 30 keys")
        self.assertFalse(keys[0] & keys[1] or keys[1] & keys[2] or keys[0] & keys[2], "a key is on one queue only")


@unittest.skipIf(OTHER_PORT, "a broker that runs already has no scripts of the examples")
class Scripts(unittest.TestCase):
    """The Lua examples: a broker with the script, and what its client prints."""

    def said(self, example, client, *flags):
        folder = broker.ROOT / "examples" / example
        running = broker.Leveret("--script-dir", str(folder), *flags)
        self.addCleanup(running.remove)
        self.addCleanup(running.stop)
        return Program([sys.executable, folder / client], url(running.port)).finish()

    def test_an_exchange_by_prefix(self):
        self.assertEqual(self.said("lua-exchange", "countries.py"), ["eu.fr bonjour", "eu.it buongiorno"])

    def test_a_transform_hides_the_card(self):
        refused, paid = self.said("lua-transform", "payments.py", "--set", "transforms.chain=mask-card")
        self.assertEqual(refused, "refused: not a payment")
        self.assertIn('"card":"****1111"', paid)
        self.assertTrue(paid.endswith("by guest shown to guest"), paid)

    def test_tenants_keep_to_their_own(self):
        lines = self.said("lua-auth", "tenant.py", "--set", "auth.chain=tenants,internal")
        self.assertEqual(lines, ["acme.orders: one order", "other.orders: 403", "wrong secret: refused"])


def drained(channel, queue):
    """The routing keys of every message in a queue, in order."""
    keys = []
    for method, _properties, _body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.3):
        if method is None:
            break
        keys.append(method.routing_key)
    channel.cancel()
    return keys


def url(port):
    return f"amqp://guest:guest@127.0.0.1:{port}/%2F"


def close(connection):
    if connection.is_open:
        connection.close()


WT = """
[[users]]
name = "wt"
password_file = "wt.password"
[[users.permissions]]
vhost = "/"
"""


def from_another_address(address="10.20.30.40"):
    """Runs in the namespace: logs in as the tutorial's user, and is refused as guest."""
    with broker.leveret(None, "--bind", "0.0.0.0", config=WT) as running:
        def connect(name, password):
            credentials = pika.PlainCredentials(name, password)
            return pika.BlockingConnection(pika.ConnectionParameters(address, running.port, credentials=credentials))
        channel = connect("wt", "111111").channel()
        channel.queue_declare(queue="hello")
        channel.basic_publish(exchange="", routing_key="hello", body="hello world")
        assert channel.queue_declare(queue="hello", passive=True).method.message_count == 1
        try:
            connect("guest", "guest")
        except pika.exceptions.ProbableAuthenticationError:
            print("wt is welcome, guest is not")


if __name__ == "__main__":
    if sys.argv[1:] == ["--from-another-address"]:
        from_another_address()
    else:
        main(__name__)
