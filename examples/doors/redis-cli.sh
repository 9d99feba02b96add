#!/bin/sh
# The stream: what any language does. Until its outcome can be read, publish it again.
redis-cli -u "$LAYBY_REDIS_URL" XADD layby:commands '*' command '
  {"id": "cli-1", "account": "acme", "kind": "pause", "customers": ["c-17"], "source": "shell"}'
