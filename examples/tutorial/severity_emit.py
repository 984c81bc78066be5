# python3 examples/tutorial/severity_emit.py err 'disk is full'  (pip install pika; AMQP_URL names another broker)
"""Routing, part 1: publishes a log line with its severity as the routing key."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# A direct exchange compares the routing key with the key of each binding.
channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
severity = sys.argv[1] if len(sys.argv) > 1 else "info"
line = " ".join(sys.argv[2:]) or "hello world"
channel.basic_publish(exchange="direct_logs", routing_key=severity, body=line)
print(f"sent {severity}: {line}")
connection.close()
