# python3 examples/tutorial/compute.py  (pip install pika; AMQP_URL names another broker)
"""Computing node: takes a number from the queue `compute_queue` and sends it back one higher."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue="compute_queue")


def on_number(channel, method, properties, body):
    print(f"increase({body.decode()})", flush=True)
    # Without reply_to nobody wants the answer: publishing to "" would only be dropped.
    if properties.reply_to:
        channel.basic_publish(exchange="", routing_key=properties.reply_to, body=str(int(body) + 1))
    channel.basic_ack(delivery_tag=method.delivery_tag)


channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue="compute_queue", on_message_callback=on_number)
print("waiting for numbers", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
