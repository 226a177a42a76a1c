"""The settings of an aggregation, read and checked, by OpenSearch's names where they are the same thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.search.aggregations.intervals import parse_calendar_interval, parse_duration
from api.search.bind.sorting import parse_sort
from api.search.fields import parse_source
from schemas.errors import Refused
from schemas.query import parse_query
from schemas.query.dates import check_zone
from schemas.query.errors import Limits, malformed, wrong_value
from schemas.query.pattern import compile_regexp
from schemas.query.read import Reader, token

MOST_TOP_HITS = 100
"""Hits of one bucket (OpenSearch's ``index.max_inner_result_window``)."""

_PERCENTS = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0]
_IGNORED = ("execution_hint", "collect_mode", "shard_size", "shard_min_doc_count", "value_type", "track_scores")


def read_settings(kind: str, members: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """What was set. Raises ``Refused`` for what is unknown, and for values that can't be."""
    if kind == "filter":
        return {"query": parse_query(members, limits)}
    reader = _Reader(kind, members, limits)
    settings = _READERS.get(kind, _metric)(reader)
    for ignored in _IGNORED:
        reader.take(ignored)
    if kind == "top_hits":
        for name, value in reader.rest().items():
            raise malformed(f"Unknown key for a {token(value)} in [{name}].")
    reader.finish()
    return settings


class _Reader(Reader):
    """The members of one aggregation's object."""

    def unparsable(self, reason: str) -> Refused:
        """A member that can't be, in the words of OpenSearch's object parsers."""
        return Refused(400, reason, "x_content_parse_exception")

    def field(self) -> str:
        """The field, which has to be there."""
        name = self.take("field")
        if name is None:
            raise wrong_value("Required one of fields [field, script], but none were specified. ")
        if not isinstance(name, str):
            raise malformed(f"[{self.clause}] field doesn't support values of type: {token(name)}")
        return name

    def plain(self, name: str) -> Any:
        """A value that is no object and no array, None where there is none."""
        value = self.take(name)
        return None if value is None else self.scalar(name, value)

    def format(self) -> str | None:
        """How dates are written; of numbers it is taken and not followed."""
        value = self.take("format")
        if value is not None and not isinstance(value, str):
            raise malformed(f"[{self.clause}] format doesn't support values of type: {token(value)}")
        return value

    def zone(self) -> str | None:
        """A time zone."""
        zone = self.take("time_zone")
        return None if zone is None else check_zone(str(zone))

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number, also as a string."""
        value = self.take(name)
        value = default if value is None else value
        if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self.unparsable(f"[{self.clause}] failed to parse field [{name}]")
        if not least <= value <= most:
            raise wrong_value(f"[{name}] must be between {least} and {most}. Found [{value}] in [{self.clause}]")
        return int(value)

    def real(self, name: str) -> float | None:
        """A number, None where there is none."""
        value = self.take(name)
        if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
            raise self.unparsable(f"[{self.clause}] failed to parse field [{name}]")
        return None if value is None else float(value)

    def order(self) -> list[tuple[str, bool]]:
        """Keys of the order, each with whether it descends."""
        value = self.take("order")
        orders: list[tuple[str, bool]] = []
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            if not isinstance(one, Mapping) or len(one) != 1:
                raise malformed(f"Must specify a single field for sorting in the order of [{self.clause}]")
            key, direction = next(iter(one.items()))
            if str(direction).lower() not in ("asc", "desc"):
                raise malformed(f"Unknown order direction [{direction}]")
            orders.append(("_key" if key in ("_term", "_time") else str(key), str(direction).lower() == "desc"))
        return orders

    def bounds(self, name: str) -> tuple[Any, Any] | None:
        """The ends of a histogram."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not set(value) <= {"min", "max"}:
            raise malformed(f"[{name}] wants an object with [min] and [max]")
        if any(isinstance(one, list | Mapping) for one in value.values()):
            raise malformed(f"[{name}] wants numbers or dates")
        return value.get("min"), value.get("max")

    def chosen(self, name: str) -> Any:
        """Which terms: a regular expression or a list."""
        value = self.take(name)
        if isinstance(value, str):
            compile_regexp(value)
        elif value is not None and (
            not isinstance(value, list) or any(isinstance(one, list | Mapping) for one in value)
        ):
            raise wrong_value(f"[{name}] of [terms] must be a regular expression or a list of terms")
        return value


def _metric(reader: _Reader) -> dict[str, Any]:
    settings = {"field": reader.field(), "missing": reader.plain("missing"), "format": reader.format()}
    if reader.clause == "percentiles":
        percents = reader.take("percents")
        percents = _PERCENTS if percents is None else percents
        if not isinstance(percents, list) or not all(
            isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 100 for one in percents
        ):
            raise wrong_value("percent must be in [0,100]")
        if not percents:
            raise wrong_value("[percents] must not be empty")
        settings |= {"percents": sorted(map(float, percents)), "keyed": reader.flag("keyed", True)}
        reader.take("tdigest"), reader.take("hdr")
    elif reader.clause == "extended_stats":
        sigma = reader.real("sigma")
        if sigma is not None and sigma < 0:
            raise wrong_value("[sigma] must be greater than or equal to 0")
        settings["sigma"] = 2.0 if sigma is None else sigma
    elif reader.clause == "cardinality":
        threshold = reader.real("precision_threshold")
        if threshold is not None and threshold < 0:
            raise wrong_value(f"[precisionThreshold] must be greater than or equal to 0. Found [{threshold:g}]")
    return settings


def _terms(reader: _Reader) -> dict[str, Any]:
    least = reader.whole("min_doc_count", 1)
    if least == 0:
        raise wrong_value("[min_doc_count] of 0 is not supported in [terms]: terms without documents are not known")
    return {
        "field": reader.field(),
        "size": reader.whole("size", 10, least=1),
        "order": reader.order(),
        "min_doc_count": least,
        "missing": reader.plain("missing"),
        "include": reader.chosen("include"),
        "exclude": reader.chosen("exclude"),
        "format": reader.format(),
        "errors": reader.flag("show_term_doc_count_error", False),
    }


def _date_histogram(reader: _Reader) -> dict[str, Any]:
    fixed, calendar = reader.take("fixed_interval"), reader.take("calendar_interval")
    either = reader.take("interval")
    if either is not None and fixed is None and calendar is None:
        calendar, fixed = (either, None) if parse_calendar_interval(either) else (None, either)
    if (fixed is None) == (calendar is None):
        raise wrong_value("Invalid interval specified, must be non-null and non-empty")
    unit = None if calendar is None else parse_calendar_interval(calendar)
    if calendar is not None and unit is None:
        raise wrong_value(f"The supplied interval [{calendar}] could not be parsed as a calendar interval.")
    offset = reader.take("offset")
    return {
        "field": reader.field(),
        "fixed": None if fixed is None else parse_duration(fixed, "fixed_interval"),
        "calendar": unit,
        "zone": reader.zone(),
        "offset": 0 if offset is None else parse_duration(offset, "offset", signed=True),
        "format": reader.format(),
        **_any_histogram(reader),
    }


def _histogram(reader: _Reader) -> dict[str, Any]:
    interval = reader.real("interval")
    if interval is None or not 0 < interval < float("inf"):
        raise wrong_value("[interval] must be >0 for histogram aggregation")
    field, offset = reader.field(), reader.real("offset")
    return {"field": field, "interval": interval, "offset": offset or 0.0, **_any_histogram(reader)}


def _any_histogram(reader: _Reader) -> dict[str, Any]:
    """What histograms of numbers and of dates have in common."""
    return {
        "keyed": reader.flag("keyed", False),
        "min_doc_count": reader.whole("min_doc_count", 0),
        "extended_bounds": reader.bounds("extended_bounds"),
        "hard_bounds": reader.bounds("hard_bounds"),
        "missing": reader.plain("missing"),
        "order": reader.order(),
    }


def _range(reader: _Reader) -> dict[str, Any]:
    ranges = reader.take("ranges")
    if not isinstance(ranges, list) or not ranges:
        raise wrong_value(f"No [ranges] specified for the [{reader.clause}] aggregation")
    for one in ranges:
        if not isinstance(one, Mapping) or not set(one) <= {"key", "from", "to"}:
            raise malformed(f"[ranges] of [{reader.clause}] want objects with [key], [from] and [to]")
        if any(isinstance(bound, list | Mapping | bool) for bound in one.values()):
            raise malformed(f"[ranges] of [{reader.clause}] want numbers or dates as bounds")
    settings = {"field": reader.field(), "ranges": [dict(one) for one in ranges], "keyed": reader.flag("keyed", False)}
    if reader.clause == "date_range":
        settings |= {"format": reader.format(), "zone": reader.zone()}
    return settings


def _filters(reader: _Reader) -> dict[str, Any]:
    filters = reader.take("filters")
    other, named = reader.take("other_bucket"), reader.take("other_bucket_key")
    if not isinstance(filters, list | Mapping):
        raise malformed("[filters] cannot be empty")
    pairs = filters.items() if isinstance(filters, Mapping) else enumerate(filters)
    return {
        "queries": {key: parse_query(query, reader.limits) for key, query in pairs},
        "keyed": isinstance(filters, Mapping),
        "other": (named or "_other_") if other or named else None,
    }


def _nested(reader: _Reader) -> dict[str, Any]:
    path = reader.take("path")
    if not isinstance(path, str):
        raise wrong_value("[path] must be specified in [nested]")
    return {"path": path}


def _reverse_nested(reader: _Reader) -> dict[str, Any]:
    if reader.take("path") is not None:
        raise wrong_value("[path] is not supported in [reverse_nested]: it leads to the whole document")
    return {}


def _top_hits(reader: _Reader) -> dict[str, Any]:
    size, start = reader.whole("size", 3, most=10_000), reader.whole("from", 0, most=10_000)
    if start + size > MOST_TOP_HITS:
        raise wrong_value(
            "Top hits result window is too large, the top hits aggregator's from + size must be less than or equal "
            f"to: [{MOST_TOP_HITS}] but was [{start + size}]"
        )
    return {
        "size": size,
        "from": start,
        "sort": parse_sort(reader.take("sort"), reader.limits),
        "source": parse_source(reader.take("_source")),
        "version": reader.flag("version", False),
        "seq_no": reader.flag("seq_no_primary_term", False),
    }


def _bucket_sort(reader: _Reader) -> dict[str, Any]:
    sort = reader.take("sort")
    orders: list[tuple[str, bool]] = []
    for one in sort if isinstance(sort, list) else [] if sort is None else [sort]:
        if isinstance(one, str):
            orders.append((one, False))
        elif isinstance(one, Mapping) and len(one) == 1:
            key, order = next(iter(one.items()))
            order = order.get("order", "asc") if isinstance(order, Mapping) else order
            orders.append((key, str(order).lower() == "desc"))
        else:
            raise malformed("[sort] of [bucket_sort] wants names or objects with one name")
    gap = reader.text("gap_policy", "skip")
    if gap not in ("skip", "insert_zeros"):
        raise malformed(f"Invalid gap policy: [{gap}], accepted values: [insert_zeros, skip]")
    size = reader.take("size")
    if size is not None and (not isinstance(size, int) or size <= 0):
        raise wrong_value("[size] must be a positive integer in [bucket_sort]")
    return {"orders": orders, "from": reader.whole("from", 0), "size": size, "gap": gap}


def _composite(reader: _Reader) -> dict[str, Any]:
    sources = reader.take("sources")
    if not isinstance(sources, list) or not sources:
        raise wrong_value("Composite [sources] cannot be null or empty")
    parsed = [_source(source, reader.limits) for source in sources]
    names = [name for name, _, _ in parsed]
    if len(set(names)) < len(names):
        raise wrong_value("Composite source names must be unique")
    after = reader.take("after")
    if after is not None:
        if not isinstance(after, Mapping):
            raise malformed(f"[composite] after doesn't support values of type: {token(after)}")
        if len(after) != len(names):
            raise wrong_value(f"[after] has {len(after)} value(s) but [sources] has {len(names)}")
        for name in names:
            if name not in after:
                raise wrong_value(f"Missing value for [after.{name}]")
    return {"sources": parsed, "size": reader.whole("size", 10, least=1), "after": after}


def _source(source: Any, limits: Limits) -> tuple[str, str, dict[str, Any]]:
    """A source of a composite aggregation: its name, its kind and its settings."""
    if not isinstance(source, Mapping) or len(source) != 1:
        raise malformed("[sources] of [composite] want objects with one name each")
    name, definition = next(iter(source.items()))
    if not isinstance(definition, Mapping) or len(definition) != 1:
        raise malformed(f"[{name}] in [sources] wants one kind of source")
    kind, body = next(iter(definition.items()))
    if kind not in ("terms", "histogram", "date_histogram") or not isinstance(body, Mapping):
        raise malformed(f"Unknown composite source type [{kind}]")
    members = dict(body)
    order, with_missing = str(members.pop("order", "asc")).lower(), members.pop("missing_bucket", False)
    if order not in ("asc", "desc"):
        raise wrong_value(f"Unknown order [{order}] in [composite]")
    settings = read_settings(kind, members, limits)
    return name, kind, {**settings, "descending": order == "desc", "with_missing": with_missing is True}


_READERS: dict[str, Callable[[_Reader], dict[str, Any]]] = {
    "bucket_sort": _bucket_sort,
    "composite": _composite,
    "date_histogram": _date_histogram,
    "date_range": _range,
    "filters": _filters,
    "histogram": _histogram,
    "nested": _nested,
    "range": _range,
    "reverse_nested": _reverse_nested,
    "terms": _terms,
    "top_hits": _top_hits,
}
