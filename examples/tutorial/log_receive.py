# python3 examples/tutorial/log_receive.py  (pip install pika; AMQP_URL names another broker)
"""Broadcast, part 2: prints every log line sent from now on, like a radio."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare(exchange="logs", exchange_type="fanout")

# The broker finds a name for the queue; being exclusive, it goes when this connection does.
queue = channel.queue_declare(queue="", exclusive=True).method.queue
channel.queue_bind(exchange="logs", queue=queue)


def on_line(_channel, _method, _properties, body):
    print(body.decode(), flush=True)


channel.basic_consume(queue=queue, on_message_callback=on_line, auto_ack=True)
print("waiting for logs", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
