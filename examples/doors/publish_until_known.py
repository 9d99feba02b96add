"""The stream from Python: published again, under the same id, until Layby says that it has it."""

import json
import os
import subprocess
import time

import redis

COMMAND = {"id": "python-2", "account": "acme", "kind": "pause", "customers": ["c-17"]}


def is_known() -> bool:
    words = ["layby", "command", "show", COMMAND["id"]]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


stream = redis.Redis.from_url(os.environ["LAYBY_REDIS_URL"])
while not is_known():
    stream.xadd("layby:commands", {"command": json.dumps(COMMAND)})
    time.sleep(0.5)
