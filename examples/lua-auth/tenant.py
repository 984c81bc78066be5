# python3 examples/lua-auth/tenant.py  (pip install pika; the broker runs with tenants.lua)
"""Logs in as the tenant `acme`: its own queue works, another tenant's is refused, and so is a wrong secret."""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")


def connect(password):
    parameters = pika.URLParameters(url)
    parameters.credentials = pika.PlainCredentials("tenant-acme", password)
    return pika.BlockingConnection(parameters)


connection = connect("open sesame")
channel = connection.channel()
channel.queue_declare("acme.orders", exclusive=True)
channel.basic_publish("", "acme.orders", "one order")
_, _, body = channel.basic_get("acme.orders", auto_ack=True)
print("acme.orders:", body.decode())

try:
    channel.queue_declare("other.orders", exclusive=True)
except pika.exceptions.ChannelClosedByBroker as error:
    print("other.orders:", error.reply_code)
connection.close()

try:
    connect("wrong")
except pika.exceptions.ProbableAuthenticationError:
    print("wrong secret: refused")
