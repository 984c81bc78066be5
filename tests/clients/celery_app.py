"""The Celery application that test_celery.py runs a worker of: results come back over AMQP too."""

import os

from celery import Celery

app = Celery("arithmetic", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.broker_connection_retry_on_startup = False


@app.task(name="add")
def add(left, right):
    return left + right


@app.task(name="fail")
def fail():
    raise ValueError("as it should")
