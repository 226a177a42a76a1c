"""The aggregations of a search, read and checked: a tree, executed in memory (``aggregate``) or as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.search.aggregations.kinds import KNOWN, METRICS, UNSUPPORTED
from api.search.aggregations.settings import read_settings
from schemas.errors import Refused
from schemas.query.errors import Limits, malformed, suggestion, wrong_value
from schemas.query.read import token
from schemas.token import validation_failed


@dataclass(frozen=True)
class Aggregation:
    """One aggregation: its kind, its settings (read; their names are OpenSearch's) and those inside it."""

    name: str
    kind: str
    settings: dict[str, Any]
    children: dict[str, Aggregation] = field(default_factory=dict)
    meta: Any = None


def parse_aggregations(body: Any, limits: Limits, depth: int = 0) -> dict[str, Aggregation]:
    """Read ``aggs``. Raises ``Refused`` (400) with OpenSearch's wording for what is malformed or unknown."""
    if not isinstance(body, Mapping):
        raise malformed(f"Expected [START_OBJECT] under [aggs] but found [{token(body)}]")
    if depth > limits.depth:
        raise wrong_value(f"Aggregations are nested deeper than [{limits.depth}]")
    return {name: _parse(name, definition, limits, depth) for name, definition in body.items()}


def _parse(name: str, definition: Any, limits: Limits, depth: int) -> Aggregation:
    if not name or any(character in name for character in "[]>"):
        raise malformed(
            f"Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and '>'"
        )
    if not isinstance(definition, Mapping):
        raise malformed(
            f"Aggregation definition for [{name} starts with a [{token(definition)}], expected a [START_OBJECT]."
        )
    kind: str | None = None
    settings: Any = {}
    children: dict[str, Aggregation] = {}
    meta: Any = None
    for member, value in definition.items():
        if member in ("aggs", "aggregations"):
            if children:
                raise malformed(f"Found two sub aggregation definitions under [{name}]")
            children = parse_aggregations(value, limits, depth + 1)
        elif member == "meta":
            meta = value
        elif not isinstance(value, Mapping):
            raise malformed(f"Expected [START_OBJECT] under [{member}], but got a [{token(value)}] in [{name}]")
        elif kind is not None:
            raise malformed(f"Found two aggregation type definitions in [{name}]: [{kind}] and [{member}]")
        elif member in UNSUPPORTED:
            raise malformed(f"Aggregation type [{member}] is not supported")
        elif member not in KNOWN:
            raise malformed(f"Unknown aggregation type [{member}]{suggestion(member, KNOWN)}")
        else:
            kind, settings = member, value
    if kind is None:
        raise malformed(f"Missing definition for aggregation [{name}]")
    if children and kind in METRICS | {"top_hits", "bucket_sort"}:
        raise Refused(
            400,
            f"Aggregator [{name}] of type [{kind}] cannot accept sub-aggregations",
            "aggregation_initialization_exception",
        )
    if kind == "bucket_sort" and not depth:
        raise validation_failed(f"bucket_sort aggregation [{name}] must be declared inside of another aggregation")
    _check_bucket_sorts(children)
    return Aggregation(name, kind, read_settings(kind, settings, limits), children, meta)


def _check_bucket_sorts(siblings: Mapping[str, Aggregation]) -> None:
    for one in siblings.values():
        for path, _ in one.settings["orders"] if one.kind == "bucket_sort" else ():
            first = path.partition(">")[0].partition(".")[0]
            if path not in ("_key", "_count") and first not in siblings:
                raise validation_failed(f"No aggregation found for path [{path}]")
