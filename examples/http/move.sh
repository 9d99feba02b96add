#!/bin/sh
# Park a customer, and return once nothing to them is in progress:
#   LAYBY_URL=http://127.0.0.1:8000 LAYBY_TOKEN=layby_… sh examples/http/move.sh acme c-17
set -eu

# The token comes by standard input, so that it is in no list of processes.
printf 'header = "Authorization: Bearer %s"\n' "$LAYBY_TOKEN" |
  curl --config - --fail-with-body --silent --show-error --max-time 40 \
    --request POST "$LAYBY_URL/v1/commands?wait=quiet&timeout=30" \
    --header "Content-Type: application/json" \
    --data '{"id": "move-'"$2"'", "account": "'"$1"'", "kind": "move_to_directory", "customers": ["'"$2"'"], "source": "shop", "reason": "paid"}'
