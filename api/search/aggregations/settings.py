"""The settings of an aggregation, read and checked."""

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
from schemas.query.read import token

MOST_TOP_HITS = 100
"""Hits of one bucket (OpenSearch's ``index.max_inner_result_window``)."""


class Settings:
    """The members of one aggregation's object; ``read`` takes them out and refuses what is left."""

    def __init__(self, kind: str, members: Mapping[str, Any], limits: Limits) -> None:
        self._kind = kind
        self._members = dict(members)
        self._limits = limits

    def read(self) -> dict[str, Any]:
        """What was set, by OpenSearch's names where they are the same thing. Raises ``Refused``."""
        reader: Callable[[Settings], dict[str, Any]] = getattr(Settings, f"_read_{self._kind}", Settings._metric)
        settings = reader(self)
        for ignored in ("execution_hint", "collect_mode", "shard_size", "value_type"):
            self._members.pop(ignored, None)
        for name, value in self._members.items():
            raise Refused(
                400, f"Unknown key for a {token(value)} in [{name}] of [{self._kind}].", "x_content_parse_exception"
            )
        return settings

    def _take(self, name: str, default: Any = None) -> Any:
        value = self._members.pop(name, default)
        return default if value is None else value

    def _field(self, *, needed: bool = True) -> str | None:
        name = self._take("field")
        if name is None and needed:
            raise wrong_value("Required one of fields [field, script], but none were specified. ")
        if name is not None and not isinstance(name, str):
            raise malformed(f"[{self._kind}] field doesn't support values of type: {token(name)}")
        return name

    def _whole(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        value = self._take(name, default)
        if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise Refused(400, f"[{self._kind}] failed to parse field [{name}]", "x_content_parse_exception")
        if not least <= value <= most:
            raise wrong_value(f"[{name}] must be between {least} and {most}. Found [{value}] in [{self._kind}]")
        return int(value)

    def _number(self, name: str, default: float | None) -> float | None:
        value = self._take(name, default)
        if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
            raise Refused(400, f"[{self._kind}] failed to parse field [{name}]", "x_content_parse_exception")
        return None if value is None else float(value)

    def _flag(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise wrong_value(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
        return value

    def _format(self) -> str | None:
        """How dates are written; of numbers it is taken and not followed."""
        value = self._take("format")
        if value is not None and not isinstance(value, str):
            raise malformed(f"[{self._kind}] format doesn't support values of type: {token(value)}")
        return value

    def _missing(self) -> Any:
        value = self._take("missing")
        if isinstance(value, list | Mapping):
            raise malformed(f"[{self._kind}] missing doesn't support values of type: {token(value)}")
        return value

    def _order(self) -> list[tuple[str, bool]]:
        """Keys of the order, each with whether it descends."""
        value = self._take("order")
        orders: list[tuple[str, bool]] = []
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            if not isinstance(one, Mapping) or len(one) != 1:
                raise malformed(f"Must specify a single field for sorting in the order of [{self._kind}]")
            key, direction = next(iter(one.items()))
            if str(direction).lower() not in ("asc", "desc"):
                raise malformed(f"Unknown order direction [{direction}]")
            key = "_key" if key in ("_term", "_time") else str(key)
            orders.append((key, str(direction).lower() == "desc"))
        return orders

    def _metric(self) -> dict[str, Any]:
        settings = {"field": self._field(), "missing": self._missing(), "format": self._format()}
        if self._kind == "percentiles":
            percents = self._take("percents", [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0])
            if not isinstance(percents, list) or not all(
                isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 100 for one in percents
            ):
                raise wrong_value("percent must be in [0,100]")
            if not percents:
                raise wrong_value("[percents] must not be empty")
            settings |= {"percents": sorted(map(float, percents)), "keyed": self._flag("keyed", True)}
            self._take("tdigest"), self._take("hdr")
        elif self._kind == "extended_stats":
            sigma = self._number("sigma", 2.0)
            if sigma is None or sigma < 0:
                raise wrong_value("[sigma] must be greater than or equal to 0")
            settings["sigma"] = sigma
        elif self._kind == "cardinality":
            threshold = self._number("precision_threshold", None)
            if threshold is not None and threshold < 0:
                raise wrong_value(f"[precisionThreshold] must be greater than or equal to 0. Found [{threshold:g}]")
        return settings

    def _read_terms(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "field": self._field(),
            "size": self._whole("size", 10, least=1),
            "order": self._order(),
            "min_doc_count": self._whole("min_doc_count", 1),
            "missing": self._missing(),
            "include": self._terms_filter("include"),
            "exclude": self._terms_filter("exclude"),
            "format": self._format(),
            "errors": self._flag("show_term_doc_count_error", False),
        }
        self._take("shard_min_doc_count")
        if settings["min_doc_count"] == 0:
            raise wrong_value("[min_doc_count] of 0 is not supported in [terms]: terms without documents are not known")
        return settings

    def _terms_filter(self, name: str) -> Any:
        value = self._take(name)
        if value is None or isinstance(value, str):
            if value is not None:
                compile_regexp(value)
            return value
        if isinstance(value, list) and not any(isinstance(one, list | Mapping) for one in value):
            return value
        raise wrong_value(f"[{name}] of [terms] must be a regular expression or a list of terms")

    def _bounds(self, name: str) -> tuple[Any, Any] | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not set(value) <= {"min", "max"}:
            raise malformed(f"[{name}] wants an object with [min] and [max]")
        if any(isinstance(one, list | Mapping) for one in value.values()):
            raise malformed(f"[{name}] wants numbers or dates")
        return value.get("min"), value.get("max")

    def _read_date_histogram(self) -> dict[str, Any]:
        fixed, calendar_ = self._take("fixed_interval"), self._take("calendar_interval")
        either = self._take("interval")
        if either is not None and fixed is None and calendar_ is None:
            calendar_, fixed = (either, None) if parse_calendar_interval(either) else (None, either)
        if (fixed is None) == (calendar_ is None):
            raise wrong_value("Invalid interval specified, must be non-null and non-empty")
        unit = None
        if calendar_ is not None:
            unit = parse_calendar_interval(calendar_)
            if unit is None:
                raise wrong_value(f"The supplied interval [{calendar_}] could not be parsed as a calendar interval.")
        zone = self._take("time_zone")
        return {
            "field": self._field(),
            "fixed": None if fixed is None else parse_duration(fixed, "fixed_interval"),
            "calendar": unit,
            "zone": None if zone is None else check_zone(str(zone)),
            "offset": parse_duration(self._take("offset", "0ms"), "offset", signed=True),
            "format": self._format(),
            **self._histogram(),
        }

    def _read_histogram(self) -> dict[str, Any]:
        interval = self._number("interval", None)
        if interval is None or not interval > 0 or interval == float("inf"):
            raise wrong_value("[interval] must be >0 for histogram aggregation")
        return {
            "field": self._field(),
            "interval": interval,
            "offset": self._number("offset", 0.0),
            **self._histogram(),
        }

    def _histogram(self) -> dict[str, Any]:
        """What histograms of numbers and of dates have in common."""
        return {
            "keyed": self._flag("keyed", False),
            "min_doc_count": self._whole("min_doc_count", 0),
            "extended_bounds": self._bounds("extended_bounds"),
            "hard_bounds": self._bounds("hard_bounds"),
            "missing": self._missing(),
            "order": self._order(),
        }

    def _ranges(self) -> list[dict[str, Any]]:
        ranges = self._take("ranges")
        if not isinstance(ranges, list) or not ranges:
            raise wrong_value(f"No [ranges] specified for the [{self._kind}] aggregation")
        for one in ranges:
            if not isinstance(one, Mapping) or not set(one) <= {"key", "from", "to"}:
                raise malformed(f"[ranges] of [{self._kind}] want objects with [key], [from] and [to]")
            if any(isinstance(bound, list | Mapping | bool) for bound in one.values()):
                raise malformed(f"[ranges] of [{self._kind}] want numbers or dates as bounds")
        return [dict(one) for one in ranges]

    def _read_range(self) -> dict[str, Any]:
        return {
            "field": self._field(),
            "ranges": self._ranges(),
            "keyed": self._flag("keyed", False),
            "missing": self._missing(),
        }

    def _read_date_range(self) -> dict[str, Any]:
        zone = self._take("time_zone")
        return {
            **self._read_range(),
            "format": self._format(),
            "zone": None if zone is None else check_zone(str(zone)),
        }

    def _read_filter(self) -> dict[str, Any]:
        query, self._members = self._members, {}
        return {"query": parse_query(query, self._limits)}

    def _read_filters(self) -> dict[str, Any]:
        filters = self._take("filters")
        other, named = self._take("other_bucket", False), self._take("other_bucket_key")
        if not isinstance(filters, list | Mapping):
            raise malformed("[filters] cannot be empty")
        pairs = filters.items() if isinstance(filters, Mapping) else enumerate(filters)
        return {
            "queries": {key: parse_query(query, self._limits) for key, query in pairs},
            "keyed": isinstance(filters, Mapping),
            "other": (named or "_other_") if other or named else None,
        }

    def _read_nested(self) -> dict[str, Any]:
        path = self._take("path")
        if not isinstance(path, str):
            raise wrong_value("[path] must be specified in [nested]")
        return {"path": path}

    def _read_reverse_nested(self) -> dict[str, Any]:
        if self._take("path") is not None:
            raise wrong_value("[path] is not supported in [reverse_nested]: it leads to the whole document")
        return {}

    def _read_top_hits(self) -> dict[str, Any]:
        size, start = self._whole("size", 3, most=10_000), self._whole("from", 0, most=10_000)
        if start + size > MOST_TOP_HITS:
            raise wrong_value(
                "Top hits result window is too large, the top hits aggregator's from + size must be less than or equal "
                f"to: [{MOST_TOP_HITS}] but was [{start + size}]"
            )
        settings = {
            "size": size,
            "from": start,
            "sort": parse_sort(self._take("sort"), self._limits),
            "source": parse_source(self._take("_source")),
            "version": self._flag("version", False),
            "seq_no": self._flag("seq_no_primary_term", False),
        }
        self._take("track_scores")
        return settings

    def _read_bucket_sort(self) -> dict[str, Any]:
        sort = self._take("sort", [])
        orders: list[tuple[str, bool]] = []
        for one in sort if isinstance(sort, list) else [sort]:
            if isinstance(one, str):
                orders.append((one, False))
            elif isinstance(one, Mapping) and len(one) == 1:
                key, order = next(iter(one.items()))
                order = order.get("order", "asc") if isinstance(order, Mapping) else order
                orders.append((key, str(order).lower() == "desc"))
            else:
                raise malformed("[sort] of [bucket_sort] wants names or objects with one name")
        gap = self._take("gap_policy", "skip")
        if gap not in ("skip", "insert_zeros"):
            raise malformed(f"Invalid gap policy: [{gap}], accepted values: [insert_zeros, skip]")
        size = self._take("size")
        return {
            "orders": orders,
            "from": self._whole("from", 0),
            "size": None if size is None else int(size) if isinstance(size, int) and size > 0 else self._bad_size(),
            "gap": gap,
        }

    def _bad_size(self) -> int:
        raise wrong_value("[size] must be a positive integer in [bucket_sort]")

    def _read_composite(self) -> dict[str, Any]:
        sources = self._take("sources")
        if not isinstance(sources, list) or not sources:
            raise wrong_value("Composite [sources] cannot be null or empty")
        parsed: list[tuple[str, str, dict[str, Any]]] = []
        for source in sources:
            if not isinstance(source, Mapping) or len(source) != 1:
                raise malformed("[sources] of [composite] want objects with one name each")
            name, definition = next(iter(source.items()))
            if not isinstance(definition, Mapping) or len(definition) != 1:
                raise malformed(f"[{name}] in [sources] wants one kind of source")
            kind, body = next(iter(definition.items()))
            if kind not in ("terms", "histogram", "date_histogram") or not isinstance(body, Mapping):
                raise malformed(f"Unknown composite source type [{kind}]")
            members = dict(body)
            order = str(members.pop("order", "asc")).lower()
            with_missing = members.pop("missing_bucket", False)
            if order not in ("asc", "desc"):
                raise wrong_value(f"Unknown order [{order}] in [composite]")
            settings = Settings(kind, members, self._limits).read()
            parsed.append(
                (name, kind, {**settings, "descending": order == "desc", "with_missing": with_missing is True})
            )
        names = [name for name, _, _ in parsed]
        if len(set(names)) < len(names):
            raise wrong_value("Composite source names must be unique")
        after = self._take("after")
        if after is not None:
            if not isinstance(after, Mapping):
                raise malformed(f"[composite] after doesn't support values of type: {token(after)}")
            if len(after) != len(names):
                raise wrong_value(f"[after] has {len(after)} value(s) but [sources] has {len(names)}")
            for name in names:
                if name not in after:
                    raise wrong_value(f"Missing value for [after.{name}]")
        return {"sources": parsed, "size": self._whole("size", 10, least=1), "after": after}
