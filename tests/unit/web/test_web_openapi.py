"""The OpenAPI document is true: what it says is what the door does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from harness import Layby
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (  # the others guess at what a door should refuse
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web_door import Door

from domain.access import INSTALLATION
from domain.commands import adapter
from web.app import openapi_document

DOCUMENT = openapi_document()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
EXAMPLES_EACH = 8


def test_nothing_that_the_document_allows_breaks_the_door_or_is_answered_otherwise(
    layby: Layby, door: Door
) -> None:
    """Requests made from the document, good and bad, over the real door with real customers."""
    layby.set_up()
    layby.on_schedule("ann")
    headers = {"Authorization": f"Bearer {door.token(INSTALLATION)}"}
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())
    called = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        called += _try(result.ok(), door.url, headers)
    assert called > len(OPERATIONS) * EXAMPLES_EACH / 2


def _try(operation: Any, url: str, headers: dict[str, str]) -> int:
    called = 0

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: Any) -> None:
        nonlocal called
        called += 1
        if {"wait", "timeout"} & set(case.query or {}):
            case.query["timeout"] = "0"
        case.call_and_validate(
            base_url=url,
            headers=headers,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_headers_conformance,
                response_schema_conformance,
            ],
        )

    attempt()
    return called


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_operation_has_words_and_examples(name: str, operation: dict[str, Any]) -> None:
    assert operation["summary"], name
    assert operation["description"], name
    if "requestBody" in operation:
        for content in operation["requestBody"]["content"].values():
            assert "example" in content or "examples" in content
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            assert "example" in content, (name, status)
            if int(status) >= 400:
                assert kind == "application/problem+json", (name, status)


def test_examples_of_commands_are_commands() -> None:
    """In every form that they come in."""
    read = list(_commands())
    assert len(read) >= 4
    for one in read:
        adapter().validate_python(one)


def _commands() -> Iterator[dict[str, Any]]:
    content = DOCUMENT["paths"]["/v1/commands"]["post"]["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        yield from example["value"] if isinstance(example["value"], list) else [example["value"]]
    yield from map(json.loads, content["application/x-ndjson"]["example"].splitlines())


def test_document_is_served_without_a_token(door: Door) -> None:
    with door.client() as client:
        assert client.get("/openapi.json").json() == DOCUMENT
        assert client.get("/docs").status_code == 404


def test_everything_but_the_health_routes_needs_a_token() -> None:
    """Declared, and so also tried by the tests of accounts."""
    open_ = {name for name, operation in OPERATIONS if "security" not in operation}
    assert open_ == {"GET /healthz", "GET /readyz"}
