# python3 examples/lua-exchange/countries.py  (pip install pika; the broker runs with prefix.lua)
"""Publishes greetings by country through the exchange type `x-prefix` and reads those for Europe."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

channel.exchange_declare("countries", exchange_type="x-prefix")
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, "countries", routing_key="eu.")
for country, greeting in [("eu.fr", "bonjour"), ("as.jp", "konnichiwa"), ("eu.it", "buongiorno")]:
    channel.basic_publish("countries", country, greeting)

while True:
    method, _, body = channel.basic_get(queue, auto_ack=True)
    if method is None:
        break
    print(method.routing_key, body.decode())
connection.close()
