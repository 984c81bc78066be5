"""A Celery worker beside Celery and Kombu producers: whole round trips through the broker.

Needs celery. `python3 tests/run celery` starts it; AMQP_PORT names a broker that runs already.
"""

import os
import sys
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import broker
from program import PATIENCE_SECS, Program
from report import main

OTHER_PORT = int(os.environ.get("AMQP_PORT") or 0)


class Celery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.running = broker.Running(OTHER_PORT) if OTHER_PORT else broker.Leveret()
        cls.addClassCleanup(cls.running.stop)
        cls.url = os.environ["AMQP_URL"] = f"amqp://guest:guest@127.0.0.1:{cls.running.port}//"
        worker = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", "solo", "--loglevel", "INFO"]
        cls.worker = Program(worker, cls.url, cwd=Path(__file__).parent)
        cls.addClassCleanup(cls.worker.kill)
        cls.worker.wait_for(" ready.")

    def test_celery_gets_its_results(self):
        from celery_app import app
        pending = [app.send_task("add", (number, 1)) for number in range(20)]
        self.assertEqual([p.get(timeout=PATIENCE_SECS) for p in pending], list(range(1, 21)))

    def test_a_failure_comes_back_as_one(self):
        from celery_app import app
        with self.assertRaisesRegex(Exception, "as it should"):
            app.send_task("fail").get(timeout=PATIENCE_SECS)

    def test_the_worker_answers_a_broadcast(self):
        from celery_app import app
        self.assertEqual([list(answer.values()) for answer in app.control.ping(timeout=5, limit=1)], [[{"ok": "pong"}]])

    def test_a_kombu_producer_is_answered(self):
        """A task message put together by hand, its answer awaited in a queue of our own."""
        import kombu
        with kombu.Connection(self.url) as connection, connection.channel() as channel:
            answers = kombu.Queue(uuid.uuid4().hex, exclusive=True, auto_delete=True, channel=channel)
            answers.declare()
            task, seen = uuid.uuid4().hex, []
            headers = {"task": "add", "id": task, "lang": "py", "argsrepr": "(40, 2)", "kwargsrepr": "{}"}
            kombu.Producer(channel, serializer="json").publish(
                ((40, 2), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}), headers=headers,
                routing_key="celery", correlation_id=task, reply_to=answers.name, delivery_mode=2)
            with kombu.Consumer(channel, answers, callbacks=[lambda body, message: seen.append(body)], no_ack=True):
                while not seen:
                    connection.drain_events(timeout=PATIENCE_SECS)
        self.assertEqual((seen[0]["status"], seen[0]["result"], seen[0]["task_id"]), ("SUCCESS", 42, task))

    def test_kombu_publishes_with_confirms(self):
        import kombu
        with kombu.Connection(self.url, transport_options={"confirm_publish": True}) as connection:
            with connection.SimpleQueue(uuid.uuid4().hex, queue_opts={"auto_delete": True}) as queue:
                queue.put({"n": 1}, delivery_mode=2)
                message = queue.get(timeout=PATIENCE_SECS)
                message.ack()
                self.assertEqual(message.payload, {"n": 1})


if __name__ == "__main__":
    main(__name__)
