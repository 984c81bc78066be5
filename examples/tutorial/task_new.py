# python3 examples/tutorial/task_new.py 'resize...' 'mail.'  (pip install pika; AMQP_URL names another broker)
"""Work queue, part 1: puts one task per argument into a durable queue; each dot is a second of work."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# A durable queue survives a restart of the broker, and so do the persistent messages in it. With
# confirms, basic_publish returns when the broker has the message on disk.
channel.queue_declare(queue="task_queue", durable=True)
channel.confirm_delivery()
for task in sys.argv[1:] or ["hello."]:
    channel.basic_publish(exchange="", routing_key="task_queue", body=task,
                          properties=pika.BasicProperties(delivery_mode=2))
    print(f"sent {task!r}")
connection.close()
