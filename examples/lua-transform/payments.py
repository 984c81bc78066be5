# python3 examples/lua-transform/payments.py  (pip install pika; the broker runs with mask_card.lua)
"""Publishes a payment and one that is none; prints what a consumer gets and what a publisher hears."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.exchange_declare("payments", exchange_type="fanout")
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, "payments")

channel.basic_publish("payments", "", '{"card":"4111111111111111","amount":5}')
try:
    channel.basic_publish("payments", "", "five euros, please")
except pika.exceptions.NackError:
    print("refused: not a payment")

for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=1):
    if method is None:
        break
    headers = properties.headers
    print(body.decode(), "by", headers["x-paid-by"], "shown to", headers["x-shown-to"])
connection.close()
