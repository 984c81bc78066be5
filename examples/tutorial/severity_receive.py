# python3 examples/tutorial/severity_receive.py info err  (pip install pika; AMQP_URL names another broker)
"""Routing, part 2: prints the log lines of the severities named on the command line."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
queue = channel.queue_declare(queue="", exclusive=True).method.queue

# One binding for each severity: a queue may have as many as it likes.
for severity in sys.argv[1:] or ["info", "err"]:
    channel.queue_bind(exchange="direct_logs", queue=queue, routing_key=severity)


def on_line(_channel, method, _properties, body):
    print(f"{method.routing_key}: {body.decode()}", flush=True)


channel.basic_consume(queue=queue, on_message_callback=on_line, auto_ack=True)
print("waiting for logs", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
