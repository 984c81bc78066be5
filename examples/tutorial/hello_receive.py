# python3 examples/tutorial/hello_receive.py  (pip install pika; AMQP_URL names another broker)
"""Hello, part 2: prints what arrives in the queue `hello` until Ctrl-C."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue="hello")


def on_message(_channel, _method, _properties, body):
    print(f"received {body.decode()!r}", flush=True)


# With auto_ack a message is gone as soon as it was sent to us.
channel.basic_consume(queue="hello", on_message_callback=on_message, auto_ack=True)
print("waiting for messages", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
