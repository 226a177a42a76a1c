"""A detector document from the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from deploy.command_line.times import parse_interval
from schemas.errors import Refused

_KINDS = {
    **{kind: kind for kind in ("avg", "sum", "min", "max", "value_count", "cardinality")},
    "count": "value_count",
    "distinct": "cardinality",
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]+")


def detector_document(
    *,
    topics: Sequence[str],
    time_field: str,
    features: Sequence[str],
    interval: str,
    by: Sequence[str] = (),
    delay: str | None = None,
    name: str | None = None,
    description: str = "",
    where: str | None = None,
) -> dict[str, Any]:
    """The document that the API takes. Raises ``Refused`` (400) for a feature or an interval that is none.

    >>> made = detector_document(topics=["metrics"], time_field="t", features=["avg:cpu"], interval="1h", by=["host"])
    >>> made["name"], made["detection_interval"], made["category_field"]
    ('metrics-avg_cpu', {'period': {'interval': 60, 'unit': 'Minutes'}}, ['host'])
    """
    parsed = [parse_feature(text) for text in features]
    document: dict[str, Any] = {
        "name": name or _UNSAFE.sub("-", "-".join([topics[0], *(each["feature_name"] for each in parsed)]))[:64],
        "description": description,
        "time_field": time_field,
        "indices": list(topics),
        "feature_attributes": parsed,
        "detection_interval": _period(interval),
    }
    if by:
        document["category_field"] = list(by)
    if delay is not None:
        document["window_delay"] = _period(delay)
    if where is not None:
        document["filter_query"] = {"query_string": {"query": where}}
    return document


def parse_feature(text: str) -> dict[str, Any]:
    """A feature from ``KIND:FIELD``, or ``NAME=KIND:FIELD`` to name it. Raises ``Refused`` (400).

    >>> parse_feature("load=p95:cpu")["aggregation_query"]
    {'load': {'percentiles': {'field': 'cpu', 'percents': [95.0]}}}
    """
    given, _, definition = text.rpartition("=")
    kind, _, field = definition.partition(":")
    percentile = _PERCENTILE.fullmatch(kind)
    if not field or (percentile is None and kind not in _KINDS):
        known = ", ".join([*sorted(_KINDS), "p95"])
        raise Refused(400, f"{text!r} is no feature: KIND:FIELD or NAME=KIND:FIELD is expected, with one of {known}")
    name = given or _UNSAFE.sub("-", f"{kind}_{field}")[:64]
    if percentile is not None:
        computed: dict[str, Any] = {"percentiles": {"field": field, "percents": [float(percentile[1])]}}
    else:
        computed = {_KINDS[kind]: {"field": field}}
    return {"feature_name": name, "feature_enabled": True, "aggregation_query": {name: computed}}


def _period(text: str) -> dict[str, Any]:
    """An interval as the API takes it: in minutes where they are whole, else in seconds."""
    milliseconds = parse_interval(text)
    if milliseconds % 60_000 == 0:
        return {"period": {"interval": milliseconds // 60_000, "unit": "Minutes"}}
    return {"period": {"interval": milliseconds // 1_000, "unit": "Seconds"}}
