# python3 examples/tutorial/rpc_client.py 30  (pip install pika; AMQP_URL names another broker)
"""Remote procedure call, the client: has a Fibonacci number worked out elsewhere and waits for it."""

import os
import sys
import uuid

import pika


class FibonacciClient:
    """Calls the server through its queue; answers come back through a queue of our own."""

    def __init__(self, url):
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.answers = self.channel.queue_declare(queue="", exclusive=True).method.queue
        self.channel.basic_consume(queue=self.answers, on_message_callback=self.on_answer, auto_ack=True)

    def on_answer(self, _channel, _method, properties, body):
        # An answer to an older call may still come: only the id says whose answer it is.
        if properties.correlation_id == self.request_id:
            self.answer = int(body)

    def call(self, n):
        self.answer, self.request_id = None, str(uuid.uuid4())
        properties = pika.BasicProperties(reply_to=self.answers, correlation_id=self.request_id)
        self.channel.basic_publish(exchange="", routing_key="rpc_queue", body=str(n), properties=properties)
        while self.answer is None:
            self.connection.process_data_events(time_limit=None)
        return self.answer


client = FibonacciClient(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F"))
number = int(sys.argv[1]) if len(sys.argv) > 1 else 30
print(f"asking for fib({number})")
print(f"got {client.call(number)}")
client.connection.close()
