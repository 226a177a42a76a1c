"""The body of a search, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.search.aggregations.tree import Aggregation, parse_aggregations
from api.search.bind.sorting import SortKey, parse_sort
from api.search.fields import DocvalueField, SourceFilter, parse_docvalue_fields, parse_source
from schemas.errors import Refused
from schemas.query import MatchAll, Query, parse_query
from schemas.query.errors import DEFAULT_LIMITS, Limits, malformed, wrong_value
from schemas.query.read import token

MAX_WINDOW = 10_000
TRACKED = 10_000
MAX_AGGREGATIONS = 100
MAX_SORT_KEYS = 32
MAX_DOCVALUE_FIELDS = 100
MAX_SOURCE_NAMES = 1024
"""A body of some MB can hold 100,000 of each, which would take minutes; clients send a handful."""

_UNSUPPORTED_NAMES = """
    suggest highlight rescore script_fields slice pit indices_boost ext derived profile explain knn search_pipeline
    min_score terminate_after
"""
_KNOWN_NAMES = """
    query from size sort search_after _source track_total_hits aggs aggregations docvalue_fields fields version
    seq_no_primary_term timeout collapse post_filter track_scores stored_fields stats include_named_queries_score
"""
_UNSUPPORTED = frozenset(_UNSUPPORTED_NAMES.split())
_KNOWN = frozenset(_KNOWN_NAMES.split())


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What a search asks for.

    ``tracked`` is how far hits are counted: None is to the end, 0 not at all. ``scored`` says that scores are
    wanted although the hits are sorted otherwise.
    """

    query: Query = field(default_factory=MatchAll)
    post_filter: Query | None = None
    start: int = 0
    size: int = 10
    sort: tuple[SortKey, ...] = ()
    search_after: tuple[Any, ...] | None = None
    source: SourceFilter = field(default_factory=SourceFilter)
    tracked: int | None = TRACKED
    aggregations: dict[str, Aggregation] = field(default_factory=dict)
    docvalue_fields: tuple[DocvalueField, ...] = ()
    collapse: str | None = None
    scored: bool = False

    @property
    def by_score(self) -> bool:
        """Whether scores decide the order or are shown."""
        return not self.sort or self.scored or any(key.field == "_score" for key in self.sort)


def parse_search(body: Any, limits: Limits = DEFAULT_LIMITS, max_window: int = MAX_WINDOW) -> SearchRequest:
    """Read a search body. Raises ``Refused`` (400) with OpenSearch's type and wording.

    >>> parse_search({"size": 0, "query": {"term": {"state": "RUNNING"}}}).size
    0
    """
    if not isinstance(body, Mapping):
        raise malformed(f"Expected [START_OBJECT] but found [{token(body)}]")
    for name, value in body.items():
        if name in _UNSUPPORTED and value not in (False, None):
            raise malformed(f"[{name}] is not supported in a search")
        if name not in _KNOWN and name not in _UNSUPPORTED:
            raise malformed(f"Unknown key for a {token(value)} in [{name}].")
    for name in ("query", "post_filter", "aggs", "aggregations", "collapse"):
        if name in body and not isinstance(body[name], Mapping):
            raise malformed(f"Unknown key for a {token(body[name])} in [{name}].")
    for name in ("version", "seq_no_primary_term", "track_scores"):
        _flag(body, name)
    start, size = _whole(body, "from", 0), _whole(body, "size", 10)
    check_timeout(body.get("timeout"))
    sort = parse_sort(body.get("sort"), limits)
    search_after = _search_after(body.get("search_after"), sort, start)
    if start + size > max_window:
        raise wrong_value(
            f"Result window is too large, from + size must be less than or equal to: [{max_window}] but was "
            f"[{start + size}]. See the scroll api for a more efficient way to request large data sets. This limit "
            "can be set by changing the [index.max_result_window] index level setting."
        )
    if "aggs" in body and "aggregations" in body:
        raise malformed("Found two aggregation definitions: [aggs] and [aggregations]")
    post_filter = body.get("post_filter")
    request = SearchRequest(
        query=parse_query(body["query"], limits) if "query" in body else MatchAll(),
        post_filter=None if post_filter is None else parse_query(post_filter, limits),
        start=start,
        size=size,
        sort=sort,
        search_after=search_after,
        source=parse_source(body.get("_source")),
        tracked=_tracked(body.get("track_total_hits", True if "track_total_hits" in body else TRACKED)),
        aggregations=parse_aggregations(body.get("aggs", body.get("aggregations", {})), limits),
        docvalue_fields=parse_docvalue_fields(body.get("docvalue_fields"), body.get("fields")),
        collapse=_collapse(body.get("collapse")),
        scored=_flag(body, "track_scores"),
    )
    for what, count, most in (
        ("aggregations", _count(request.aggregations), MAX_AGGREGATIONS),
        ("sort keys", len(request.sort), MAX_SORT_KEYS),
        ("docvalue_fields", len(request.docvalue_fields), MAX_DOCVALUE_FIELDS),
        ("names in _source", len(request.source.includes) + len(request.source.excludes), MAX_SOURCE_NAMES),
    ):
        if count > most:
            raise wrong_value(
                f"Trying to ask for too many {what}. Must be less than or equal to: [{most}] but was [{count}]"
            )
    return request


def _count(aggregations: Mapping[str, Aggregation]) -> int:
    return len(aggregations) + sum(_count(each.children) for each in aggregations.values())


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if value not in (True, False, "true", "false") or (isinstance(value, int) and not isinstance(value, bool)):
        raise wrong_value(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    return value in (True, "true")


def _whole(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise malformed(f"Unknown key for a {token(value)} in [{name}].")
    try:
        number = int(float(value)) if not isinstance(value, int) else value
    except (ValueError, OverflowError):
        raise Refused(400, f'For input string: "{value}"', "number_format_exception") from None
    if number < 0:
        raise wrong_value(f"[{name}] parameter cannot be negative, found [{number}]")
    if number > 2**31 - 1:
        raise wrong_value(f"Numeric value ({str(number)[:40]}) out of range of int")
    return number


def check_timeout(value: Any, setting: str = "timeout") -> None:
    """Refuse what is no length of time, in OpenSearch's words."""
    if value is None or value == -1 or value == 0:
        return
    text = value if isinstance(value, str) else str(value)
    for unit in ("nanos", "micros", "ms", "s", "m", "h", "d"):
        if text.endswith(unit) and text.removesuffix(unit).strip().replace(".", "", 1).lstrip("-").isdigit():
            return
    raise wrong_value(
        f"failed to parse setting [{setting}] with value [{text}] as a time value: unit is missing or unrecognized"
    )


def _tracked(value: Any) -> int | None:
    if value in (True, "true") and not (isinstance(value, int) and not isinstance(value, bool)):
        return None
    if value in (False, "false") and not (isinstance(value, int) and not isinstance(value, bool)):
        return 0
    if not isinstance(value, int) or value < -1:
        raise wrong_value(f"[track_total_hits] parameter must be positive or equals to -1, got {value}")
    return None if value == -1 else value


def _search_after(value: Any, sort: tuple[SortKey, ...], start: int) -> tuple[Any, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or any(isinstance(one, list | Mapping) for one in value):
        raise malformed(f"Expected [START_ARRAY] in [search_after] but found [{token(value)}]")
    if start:
        raise Refused(
            400,
            "Validation Failed: 1: `from` parameter must be set to 0 when `search_after` is used.;",
            "action_request_validation_exception",
        )
    if not value:
        raise wrong_value("Values must contains at least one value.")
    if not sort:
        raise wrong_value("Sort must contain at least one field.")
    if len(value) != len(sort):
        raise wrong_value(f"search_after has {len(value)} value(s) but sort has {len(sort)}.")
    return tuple(value)


def _collapse(value: Any) -> str | None:
    if value is None:
        return None
    for name in value:
        if name != "field":
            raise malformed(f"[collapse] does not support [{name}]")
    if not isinstance(value.get("field"), str):
        raise wrong_value("no field name for [collapse]")
    return str(value["field"])
