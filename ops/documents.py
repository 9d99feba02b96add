"""The generated documents: `python -m ops.documents` writes them, `--check` tells what is stale."""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from domain.commands import adapter
from ops.schedule_file import ScheduleFile
from web.app import openapi_document

FOLDER = Path(__file__).parent.parent / "docs"


def commands_schema() -> dict[str, Any]:
    """JSON Schema of every command, for editors and for producers in any language."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A command of Layby",
        **adapter().json_schema(),
    }


def schedule_schema() -> dict[str, Any]:
    """JSON Schema of a schedule file, for editors that check as one types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ScheduleFile.model_json_schema(),
        "title": "A schedule of Layby",
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of the stream door (https://www.asyncapi.com/docs/reference/specification)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Layby",
            "version": version("layby"),
            "description": "Lifecycle commands in, through a Redis stream.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "commands": {
                "address": "layby:commands",
                "description": "A Redis stream. XADD layby:commands * command '{…}'. A command is "
                "accepted once its outcome can be read; until then, publish the same id again.",
                "messages": {"command": {"$ref": "#/components/messages/command"}},
            }
        },
        "operations": {
            "receiveCommand": {
                "action": "receive",
                "channel": {"$ref": "#/channels/commands"},
                "messages": [{"$ref": "#/channels/commands/messages/command"}],
            }
        },
        "components": {
            "messages": {
                "command": {
                    "name": "command",
                    "title": "A command, as JSON in the field `command`",
                    "payload": {"$ref": "./commands.schema.json"},
                }
            }
        },
    }


def documents() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    made = {
        "commands.schema.json": commands_schema(),
        "schedule.schema.json": schedule_schema(),
        "asyncapi.json": asyncapi(),
        "openapi.json": openapi_document(),
    }
    return {
        FOLDER / name: json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, document in made.items()
    }


def stale(made: Mapping[Path, str]) -> list[Path]:
    """The files that are not what they should be."""
    return [
        path
        for path, content in made.items()
        if not path.exists() or path.read_text("utf-8") != content
    ]


def write_or_tell(made: Mapping[Path, str]) -> int:
    """Write, or with --check only tell."""
    if "--check" in sys.argv[1:]:
        outdated = stale(made)
        for path in outdated:
            sys.stderr.write(f"{path} is not current. Run: make documents\n")
        return 1 if outdated else 0
    for path, content in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(write_or_tell(documents()))
