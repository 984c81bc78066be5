# python3 examples/tutorial/topic_receive.py '[warn].*' 'info.*'  (pip install pika; AMQP_URL names another broker)
"""Topics, part 2: prints the log lines that match patterns: `*` is one word, `#` any number of words."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
queue = channel.queue_declare(queue="", exclusive=True).method.queue

# A message that matches several patterns of one queue still arrives once.
for pattern in sys.argv[1:] or ["#"]:
    channel.queue_bind(exchange="topic_logs", queue=queue, routing_key=pattern)


def on_line(_channel, method, _properties, body):
    print(f"{method.routing_key}: {body.decode()}", flush=True)


channel.basic_consume(queue=queue, on_message_callback=on_line, auto_ack=True)
print("waiting for logs", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
