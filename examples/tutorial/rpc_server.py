# python3 examples/tutorial/rpc_server.py  (pip install pika; AMQP_URL names another broker)
"""Remote procedure call, the server: answers requests for Fibonacci numbers."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue="rpc_queue")


def fib(n):
    """Slow on purpose: this is the work that one would rather have done elsewhere."""
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def on_request(channel, method, properties, body):
    n = int(body)
    print(f"fib({n})", flush=True)
    # The answer goes to the queue the client named, marked with the id that the client chose.
    channel.basic_publish(exchange="", routing_key=properties.reply_to, body=str(fib(n)),
                          properties=pika.BasicProperties(correlation_id=properties.correlation_id))
    channel.basic_ack(delivery_tag=method.delivery_tag)


# One request at a time, so that several servers share the load evenly.
channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue="rpc_queue", on_message_callback=on_request)
print("waiting for requests", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
