"""Park a customer, and return once nothing to them is in progress; standard library only.

LAYBY_URL=http://127.0.0.1:8000 LAYBY_TOKEN=layby_… python examples/http/move.py acme c-17
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

ATTEMPTS = 5


def send(command: dict[str, Any]) -> dict[str, Any]:
    """The outcome; the same id again is the same command, so what gets no answer is sent again."""
    request = urllib.request.Request(
        os.environ["LAYBY_URL"] + "/v1/commands?wait=quiet&timeout=30",
        method="POST",
        data=json.dumps(command).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['LAYBY_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                outcome: dict[str, Any] = json.load(answer)
                return outcome
        except urllib.error.HTTPError as refused:
            if refused.code < 500 or attempt == ATTEMPTS:
                sys.exit(refused.read().decode())
        except OSError as away:
            if attempt == ATTEMPTS:
                sys.exit(f"No answer: {away}")
        time.sleep(2)
    raise AssertionError("unreachable")


account, customer = sys.argv[1:]
told = send(
    {
        "id": f"move-{customer}",
        "account": account,
        "kind": "move_to_directory",
        "customers": [customer],
        "source": "shop",
        "reason": "paid",
    }
)
print(json.dumps(told))
sys.exit(told["quiet_at"] is None)
