# python3 examples/tutorial/topic_emit.py '[warn].kern' 'out of memory'  (pip install pika; AMQP_URL names another broker)
"""Topics, part 1: publishes a log line with a key of words, such as severity and facility."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare(exchange="topic_logs", exchange_type="topic")

# The words of the key are separated by dots, at most 255 bytes of them.
key = sys.argv[1] if len(sys.argv) > 1 else "[warn].kern"
line = " ".join(sys.argv[2:]) or "hello world"
channel.basic_publish(exchange="topic_logs", routing_key=key, body=line)
print(f"sent {key}: {line}")
connection.close()
