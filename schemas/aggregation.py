"""What a feature computes over the records of a window: one number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from schemas.errors import Refused
from schemas.query import Query, compile_query, parse_query, to_document
from schemas.query.errors import suggestion
from schemas.token import as_array, as_boolean, as_number, as_object, as_text, illegal_argument, parsing_failed, token

Kind = Literal["sum", "avg", "min", "max", "value_count", "cardinality", "percentiles", "median_absolute_deviation"]

KINDS: dict[str, Kind] = {
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "value_count": "value_count",
    "cardinality": "cardinality",
    "percentiles": "percentiles",
    "median_absolute_deviation": "median_absolute_deviation",
}
DEFAULT_PERCENTS = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)

_REFUSED = frozenset({"weighted_avg", "scripted_metric"})
_BUCKETS_AND_SUCH = """
adjacency_matrix auto_date_histogram avg_bucket bucket_script bucket_selector bucket_sort composite
cumulative_sum date_histogram date_range derivative diversified_sampler extended_stats extended_stats_bucket
filters geo_bounds geo_centroid geo_distance geohash_grid geotile_grid global histogram ip_range max_bucket
min_bucket missing moving_avg moving_fn multi_terms nested percentile_ranks percentiles_bucket range
rare_terms reverse_nested sampler serial_diff significant_terms significant_text stats stats_bucket
sum_bucket terms top_hits variable_width_histogram
"""
_MANY_VALUED = frozenset(_BUCKETS_AND_SUCH.split())
_KNOWN = frozenset(KINDS) | _REFUSED | _MANY_VALUED | {"filter"}
_NAME = re.compile(r"[^\[\]>]+")
_SUBAGGREGATIONS = ("aggs", "aggregations")


_COMMON = frozenset({"field", "format"})
_MEMBERS: dict[str, frozenset[str]] = {
    "percentiles": _COMMON | {"percents", "keyed", "tdigest"},
    "cardinality": _COMMON | {"precision_threshold"},
    "median_absolute_deviation": _COMMON | {"compression"},
}
"""The last one of each is a hint on accuracy that is taken and not followed."""


class NotSingleValued(Refused):
    """An aggregation that is well formed but doesn't give one number for a window."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(400, f"Aggregation [{name}] of type [{kind}] doesn't give one number for each window")


class Aggregation(msgspec.Struct, frozen=True, kw_only=True):
    """One number for each window: ``kind`` over the values of ``field`` in the records that match ``filter``.

    ``percent`` (0 to 100) is set exactly for percentiles. ``document`` is the normalised JSON form.
    """

    name: str
    kind: Kind
    field: str
    filter: Query | None = None
    percent: float | None = None
    document: dict[str, Any]


def parse_aggregation(aggregation_query: Mapping[str, Any]) -> Aggregation:
    """Read a feature's ``aggregation_query``; of several aggregations the first counts, as in OpenSearch.

    Raises ``Refused`` in OpenSearch's words: ``parsing_exception`` for what is malformed or unknown,
    ``illegal_argument_exception`` for missing or unsupported members; ``NotSingleValued`` for aggregations
    that give buckets.

    >>> parse_aggregation({"load": {"avg": {"field": "cpu"}}}).kind
    'avg'
    """
    if not aggregation_query:
        raise illegal_argument("Feature aggregation query should be set")
    parsed = [_parse(name, as_object(body)) for name, body in _definitions(aggregation_query)]
    return parsed[0]


def _definitions(aggregations: Mapping[str, Any]) -> list[tuple[str, Any]]:
    for name, body in aggregations.items():
        if not _NAME.fullmatch(name):
            raise parsing_failed(
                f"Invalid aggregation name [{name}]. Aggregation names can contain any character except"
                " '[', ']', and '>'"
            )
        if not isinstance(body, Mapping):
            raise parsing_failed(
                f"Aggregation definition for [{name} starts with a [{token(body)}], expected a [START_OBJECT]."
            )
    return list(aggregations.items())


def _parse(name: str, body: Mapping[str, Any]) -> Aggregation:
    types = [key for key in body if key not in (*_SUBAGGREGATIONS, "meta")]
    if not types:
        raise parsing_failed(f"Missing definition for aggregation [{name}]")
    if len(types) > 1:
        raise parsing_failed(f"Found two aggregation type definitions in [{name}]: [{types[0]}] and [{types[1]}]")
    kind, inner = types[0], [key for key in _SUBAGGREGATIONS if key in body]
    if kind not in _KNOWN:
        raise parsing_failed(f"Unknown aggregation type [{kind}]{suggestion(kind, _KNOWN)}")
    if not isinstance(body[kind], Mapping):
        raise parsing_failed(f"Expected [START_OBJECT] under [{kind}], but got a [{token(body[kind])}] in [{name}]")
    if kind in _MANY_VALUED:
        raise NotSingleValued(name, kind)
    if kind in _REFUSED:
        raise illegal_argument(
            f"Aggregation [{name}] of type [{kind}] is not supported in features; supported are"
            f" {', '.join(KINDS)} and filter around one of them"
        )
    if kind == "filter":
        return _parse_filter(name, body[kind], as_object(body[inner[0]]) if inner else {})
    if inner and body[inner[0]]:
        raise parsing_failed(f"Aggregator [{name}] of type [{kind}] cannot accept sub-aggregations")
    return _parse_metric(name, KINDS[kind], body[kind])


def _parse_filter(name: str, query: Mapping[str, Any], inner: Mapping[str, Any]) -> Aggregation:
    parsed = parse_query(query)
    compile_query(parsed)  # which refuses patterns and dates that can't be used
    if len(inner) != 1:
        raise NotSingleValued(name, "filter")
    (inner_name, inner_body), *_ = _definitions(inner)
    metric = _parse(inner_name, inner_body)
    if metric.filter is not None:
        raise illegal_argument(f"Aggregation [{name}]: a filter inside a filter is not supported; use one bool query")
    return Aggregation(
        name=name,
        kind=metric.kind,
        field=metric.field,
        filter=parsed,
        percent=metric.percent,
        document={name: {"filter": to_document(parsed), "aggregations": metric.document}},
    )


def _parse_metric(name: str, kind: Kind, members: Mapping[str, Any]) -> Aggregation:
    allowed = _MEMBERS.get(kind, _COMMON)
    for member in members:
        if member in ("script", "missing", "hdr"):
            raise illegal_argument(f"[{kind}] [{member}] is not supported in features")
        if member not in allowed:
            raise parsing_failed(f"[{kind}] unknown field [{member}]{suggestion(member, allowed)}")
    if "field" not in members:
        raise illegal_argument("Required one of fields [field, script], but none were specified. ")
    field = as_text(members["field"])
    shown: dict[str, Any] = {"field": field}
    percent = None
    if kind == "percentiles":
        percents = _parse_percents(name, members.get("percents"))
        percent = percents[0]
        keyed = as_boolean(members.get("keyed", True))
        shown |= {"percents": percents, "keyed": keyed, "tdigest": {"compression": _compression(members)}}
    elif kind == "median_absolute_deviation":
        shown |= {"compression": 1000.0}
    return Aggregation(name=name, kind=kind, field=field, percent=percent, document={name: {kind: shown}})


def _compression(members: Mapping[str, Any]) -> float:
    compression = as_number(as_object(members.get("tdigest") or {}).get("compression", 100.0))
    if compression < 0:
        raise illegal_argument(f"[compression] must be greater than or equal to 0. Found [{compression}]")
    return compression


def _parse_percents(name: str, value: Any) -> list[float]:
    """The percents as OpenSearch keeps them: from the least on."""
    percents = list(DEFAULT_PERCENTS) if value is None else sorted(as_number(percent) for percent in as_array(value))
    if not percents:
        raise illegal_argument(f"[percents] must not be empty: [{name}]")
    for percent in percents:
        if not 0 <= percent <= 100:
            raise illegal_argument(f"percent must be in [0,100], got [{percent}]: [{name}]")
    return percents
