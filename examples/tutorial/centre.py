# python3 examples/tutorial/centre.py 30  (pip install pika; AMQP_URL names another broker)
"""Control centre: sends a number to a computing node and waits for the result in a queue of its own."""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
results = channel.queue_declare(queue="", exclusive=True).method.queue

number = sys.argv[1] if len(sys.argv) > 1 else "30"
print(f"asking for increase({number})")
channel.basic_publish(exchange="", routing_key="compute_queue", body=number,
                      properties=pika.BasicProperties(reply_to=results))

# The generator ends after the first message: one question, one answer.
for method, _properties, body in channel.consume(queue=results, auto_ack=True):
    print(f"got {int(body)}")
    break
connection.close()
