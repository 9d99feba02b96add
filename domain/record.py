"""What is recorded of a decision: by which rule, on what, by which versions and clock."""

import json
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.decision import Decision, Facts, Send
from domain.law import LAW_VERSION


class Versions(NamedTuple):
    """Of all that a decision was made by. The clock is `live`, or a test account's own."""

    schedule: str
    version: int
    rules: int
    clock: str


def record_of(
    decision: Decision, facts: Facts, versions: Versions, template: int | None = None
) -> str:
    """JSON, beside the row's own planned_at and business_at; no personal data.

    What is sent is the common case: its record is the same text for most of a batch.
    """
    recent = None if facts.rules.counting[facts.step.channel] is None else facts.messages
    if isinstance(decision, Send):
        laws = tuple(law.name for law in facts.laws)
        reanchored = facts.step.reanchors(facts.now - facts.due_at)
        by = facts.diverted_by
        return _sent(versions, facts.zone, facts.places, laws, recent, by, reanchored=reanchored)
    said = _decided(versions, facts.zone, decision.rule)
    if facts.diverted_by is not None:
        said["fallback"] = facts.diverted_by
    said |= {"template": facts.step.template, "template_version": template, **decision.inputs}
    if recent is not None:
        said["recent"] = recent
    return json.dumps(said)


@lru_cache(maxsize=16_384)
def _sent(
    versions: Versions,
    zone: ZoneInfo,
    places: tuple[ZoneInfo, ...],
    laws: tuple[str, ...],
    recent: int | None,
    diverted_by: str | None,
    *,
    reanchored: bool,
) -> str:
    said = _decided(versions, zone, Send().rule)
    if places:
        said["places"] = [place.key for place in places]
    if laws:
        said |= {"laws": laws, "law_version": LAW_VERSION}
    if recent is not None:
        said["recent"] = recent
    if diverted_by is not None:
        said["fallback"] = diverted_by
    if reanchored:
        said["reanchored"] = True
    return json.dumps(said)


def _decided(versions: Versions, zone: ZoneInfo, rule: str) -> dict[str, Any]:
    return {"rule": rule, **versions._asdict(), "zone": zone.key}
