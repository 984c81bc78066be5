# python3 examples/tutorial/task_worker.py  (pip install pika; AMQP_URL names another broker)
"""Work queue, part 2: works through tasks, one at a time; start several to share the work."""

import os
import time

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue="task_queue", durable=True)


def on_task(channel, method, _properties, body):
    print(f"working on {body.decode()!r}", flush=True)
    time.sleep(body.count(b"."))
    print(f"done with {body.decode()!r}", flush=True)
    # Until this ack the task is ours on loan: if we die, the broker gives it to another worker.
    channel.basic_ack(delivery_tag=method.delivery_tag)


# No second task before the first is acked: a busy worker gets none that an idle one could do.
channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue="task_queue", on_message_callback=on_task)
print("waiting for tasks", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
