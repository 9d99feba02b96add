#!/bin/sh
# SQL: the payment and the silence that follows from it are one commit.
psql "$LAYBY_DATABASE_URL" --quiet --single-transaction \
  -c "UPDATE invoices SET paid = true WHERE number = 'INV-1042'" \
  -c "SELECT layby_submit('{\"id\": \"psql-1\", \"account\": \"acme\", \"kind\": \"record\",
        \"customers\": [\"c-17\"], \"fact\": {\"fact\": \"payment\", \"reference\": \"INV-1042\"}}')"
