"""The OpenAPI document: what the routes say, and the commands' own schema."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from domain.commands import adapter
from web.tokens import TokenWanted

_ABOUT = """\
Commands in, outcomes out, and a look at customers and queues. docs/http.md says how to use it.

Errors are `application/problem+json` (RFC 9457); `type` is stable, `detail` says what to do.
"""

_COMPONENTS = "#/components/schemas/{model}"


def queries(described: Mapping[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """The parameters that each path and method takes in its query, by what the document says."""
    return {
        (path, method.upper()): frozenset(
            one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"
        )
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of this app."""
    made = get_openapi(
        title="Layby",
        version=version("layby"),
        description=_ABOUT,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = made["components"]["schemas"]
    command = adapter().json_schema(ref_template=_COMPONENTS)
    schemas |= command.pop("$defs")
    schemas["Command"] = {"title": "Command", **command}
    schemas["TokenWanted"] = TokenWanted.model_json_schema(ref_template=_COMPONENTS)
    schemas["TokenWanted"].pop("$defs")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return made
