# python3 examples/tutorial/log_emit.py 'disk is full'  (pip install pika; AMQP_URL names another broker)
"""Broadcast, part 1: publishes a log line to everybody who listens at this moment."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# A fanout exchange copies each message to every queue bound to it, whatever the routing key.
channel.exchange_declare(exchange="logs", exchange_type="fanout")
line = " ".join(sys.argv[1:]) or "info: hello world"
channel.basic_publish(exchange="logs", routing_key="", body=line)
print(f"sent {line!r}")
connection.close()
