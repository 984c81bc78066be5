# python3 examples/tutorial/hello_send.py  (pip install pika; AMQP_URL names another broker)
"""Hello, part 1: sends one message to the queue `hello` through the default exchange."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# Sender and receiver both declare the queue, so that it does not matter who starts first.
channel.queue_declare(queue="hello")
channel.basic_publish(exchange="", routing_key="hello", body="hello world")
print("sent 'hello world'")
connection.close()
