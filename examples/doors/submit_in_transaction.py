"""SQL from Python: if anything in the block fails, the invoice and Layby have not heard of it."""

import os

import psycopg
from psycopg.types.json import Jsonb

COMMAND = {
    "id": "python-1",
    "account": "acme",
    "kind": "record",
    "customers": ["c-17"],
    "fact": {"fact": "payment", "reference": "INV-1043"},
}

with psycopg.connect(os.environ["LAYBY_DATABASE_URL"]) as connection, connection.transaction():
    connection.execute("UPDATE invoices SET paid = true WHERE number = 'INV-1043'")
    connection.execute("SELECT layby_submit(%s)", [Jsonb(COMMAND)])
