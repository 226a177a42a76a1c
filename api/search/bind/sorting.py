"""In which order hits come: the ``sort`` member, sort values, and what ``search_after`` leaves out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.errors import Refused
from schemas.query import Query, parse_query
from schemas.query.bind import bind, typed
from schemas.query.conditions import Everything
from schemas.query.dates import format_date, parse_date
from schemas.query.errors import DEFAULT_LIMITS, Limits, malformed, unknown_member, wrong_value
from schemas.query.fields import Field, FieldType, Types, nested_path, stored_path
from schemas.query.memory import Documents, compile_condition, getter, objects
from schemas.query.read import token

MODES = ("min", "max", "sum", "avg", "median")
METADATA: dict[str, FieldType] = {"_id": "keyword", "_seq_no": "long", "_doc": "long", "_score": "double"}
_LARGEST = 2**63 - 1


UNMAPPED_TYPES: dict[Any, FieldType] = {
    **dict.fromkeys(("long", "integer", "short", "byte", "unsigned_long"), "long"),
    **dict.fromkeys(("double", "float", "half_float", "scaled_float"), "double"),
    **dict.fromkeys(("keyword", "ip"), "keyword"),
    **dict.fromkeys(("date", "date_nanos"), "date"),
    "boolean": "boolean",
}
"""What a field is taken for that is not mapped, by ``unmapped_type``."""


@dataclass(frozen=True)
class SortKey:
    """One key. ``missing`` is ``_last``, ``_first`` or the value that documents without one are taken to have."""

    field: str
    descending: bool = False
    missing: Any = "_last"
    mode: str | None = None
    unmapped_type: str | None = None
    format: str | None = None
    nested: tuple[str, Query | None] | None = None


def parse_sort(value: Any, limits: Limits = DEFAULT_LIMITS) -> tuple[SortKey, ...]:
    """Read ``sort``: a name, an object or a list of both. A sort by score alone is the default order: no keys."""
    if value is None:
        return ()
    keys: list[SortKey] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            keys.append(_key(one, {}, limits))
        elif isinstance(one, Mapping):
            for name, settings in one.items():
                if isinstance(settings, str):
                    settings = {"order": settings}
                if not isinstance(settings, Mapping):
                    raise malformed(f"[sort] of [{name}] can't be a {token(settings)}")
                keys.append(_key(name, settings, limits))
        else:
            raise wrong_value(
                "malformed sort format, within the sort array, an object, or an actual string are allowed"
            )
    if [(key.field, key.descending) for key in keys] == [("_score", True)]:
        return ()
    return tuple(keys)


_SETTINGS = ("order", "missing", "mode", "unmapped_type", "format", "nested", "numeric_type")


def _key(name: str, settings: Mapping[str, Any], limits: Limits) -> SortKey:
    if name in ("_script", "_geo_distance"):
        raise malformed(f"[sort] by [{name}] is not supported")
    for member in settings:
        if member not in _SETTINGS:
            raise unknown_member("field_sort", member, _SETTINGS)
    order = settings.get("order", "desc" if name == "_score" else "asc")
    if not isinstance(order, str) or order.lower() not in ("asc", "desc"):
        cause = wrong_value(f"No enum constant org.opensearch.search.sort.SortOrder.{str(order).upper()}")
        raise Refused(400, "[field_sort] failed to parse field [order]", "x_content_parse_exception") from cause
    mode = settings.get("mode")
    if mode is not None and (not isinstance(mode, str) or mode.lower() not in MODES):
        raise wrong_value(f"Unknown SortMode [{mode}]")
    missing = settings.get("missing", "_last")
    if isinstance(missing, list | Mapping):
        raise malformed(f"[sort] of [{name}]: [missing] can't be a {token(missing)}")
    return SortKey(
        field=name,
        descending=order.lower() == "desc",
        missing="_last" if missing is None else missing,
        mode=None if mode is None else mode.lower(),
        unmapped_type=settings.get("unmapped_type"),
        format=settings.get("format"),
        nested=_nested(settings.get("nested"), limits),
    )


def _nested(value: Any, limits: Limits) -> tuple[str, Query | None] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("path"), str) or not set(value) <= {"path", "filter"}:
        raise malformed("[nested] of a sort wants an object with [path] and, if need be, [filter]")
    filter_ = value.get("filter")
    return value["path"], None if filter_ is None else parse_query(filter_, limits)


@dataclass(frozen=True)
class BoundKey:
    """A sort key bound to its field's type: ``fallback`` is the value of documents without one, None for none.

    Documents without a value come last unless ``first``.
    """

    key: SortKey
    type: FieldType
    field: Field | None
    fallback: Any
    first: bool

    def shown(self, value: Any) -> Any:
        """A sort value as the hit shows it; what stands for no value is OpenSearch's own."""
        if value is None:
            low = self.first != self.key.descending
            if self.type == "keyword":
                return None
            if self.type == "double":
                return "-Infinity" if low else "Infinity"
            return -_LARGEST - 1 if low else _LARGEST
        if self.type == "boolean":
            return int(value)
        if self.type == "date" and self.key.format is not None:
            return format_date(value, form=self.key.format)
        return float(value) if self.type == "double" else value

    def read(self, value: Any) -> Any:
        """A sort value that came back in ``search_after``, None when it stood for no value."""
        if value is None or value in ("Infinity", "-Infinity"):
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value in (_LARGEST, -_LARGEST - 1):
            return None
        if self.type == "date":
            return parse_date(value, form=self.key.format)
        if self.type == "boolean" and value in (0, 1):
            return bool(value)
        return typed(self.type, value)


def bind_sort(keys: tuple[SortKey, ...], types: Types) -> tuple[BoundKey, ...]:
    """The keys with the types of their fields. Raises ``Refused`` (400) for fields that can't be sorted by."""
    return tuple(_bound(key, types) for key in keys)


def _bound(key: SortKey, types: Types) -> BoundKey:
    type_ = METADATA.get(key.field) or types.get(key.field)
    field: Field | None = None
    if type_ == "text":
        raise text_field(key.field)
    if type_ is None or type_ in ("object", "nested"):
        if key.unmapped_type is None:
            raise Refused(400, f"No mapping found for [{key.field}] in order to sort on", "query_shard_exception")
        if key.unmapped_type not in UNMAPPED_TYPES:
            raise wrong_value(f"No mapper found for type [{key.unmapped_type}]")
        type_ = UNMAPPED_TYPES[key.unmapped_type]
    elif key.field not in METADATA:
        field = Field(stored_path(types, key.field), type_, nested_path(types, key.field))
        if key.nested is not None and field.scope != key.nested[0]:
            raise wrong_value(f"[nested] failed to find nested object under path [{key.nested[0]}]")
        if key.nested is None and field.scope:
            field = None  # the values of nested objects are not those of the document
    fallback = None
    if key.missing not in ("_last", "_first"):
        fallback = parse_date(key.missing) if type_ == "date" else typed(type_, key.missing)
    return BoundKey(key, type_, field, fallback, key.missing == "_first")


def text_field(name: str) -> Refused:
    """OpenSearch's refusal to sort or aggregate by a text field."""
    return wrong_value(
        "Text fields are not optimised for operations that require per-document field data like aggregations and "
        "sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set "
        f"fielddata=true on [{name}] in order to load field data by uninverting the inverted index. Note that this can "
        "use significant memory."
    )


def sort_value(bound: BoundKey, types: Types, now: int) -> Callable[[Any], Any]:
    """A function that gives a document's sort value from its source."""
    if bound.field is None:
        return lambda document: bound.fallback
    values = getter(bound.field)
    mode = bound.key.mode or ("max" if bound.key.descending else "min")

    def combined(found: list[Any]) -> Any:
        return combine(mode, found) if found else bound.fallback

    if bound.key.nested is None:
        return lambda document: combined(values(document))
    path, query = bound.key.nested
    items = objects(Field(path, "nested", nested_path(types, path)))
    wanted = compile_condition(Everything() if query is None else bind(query, types, now, path))

    def nested(document: Any) -> Any:
        inner = items(document)
        chosen = wanted(Documents(inner))
        return combined(
            [value for item, is_wanted in zip(inner, chosen, strict=True) if is_wanted for value in values(item)]
        )

    return nested


def combine(mode: str, values: list[Any]) -> Any:
    """One value for several."""
    if len(values) == 1:
        return values[0]
    if mode in ("min", "max"):
        return min(values) if mode == "min" else max(values)
    if any(isinstance(value, str) for value in values):
        raise wrong_value(f"Sort mode [{mode}] can't be used for text values")
    if mode == "median":
        ordered, middle = sorted(values), len(values) // 2
        return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    total = math.fsum(values)
    return total if mode == "sum" else total / len(values)


T = TypeVar("T")


def ordered(rows: list[tuple[tuple[Any, ...], T]], keys: tuple[BoundKey, ...]) -> list[tuple[tuple[Any, ...], T]]:
    """Rows, each with its sort values, in the order of the keys; rows that are alike stay as they are."""
    for at in reversed(range(len(keys))):
        bound = keys[at]
        there = [row for row in rows if row[0][at] is not None]
        absent = [row for row in rows if row[0][at] is None]
        # reverse=True keeps alike rows in order
        there.sort(key=lambda row, at=at: row[0][at], reverse=bound.key.descending)  # type: ignore[misc]
        rows = absent + there if bound.first else there + absent
    return rows


def is_after(values: tuple[Any, ...], after: tuple[Any, ...], keys: tuple[BoundKey, ...]) -> bool:
    """Whether sort values come after those of the hit that the client saw last."""
    for value, limit, bound in zip(values, after, keys, strict=True):
        if value == limit:
            continue
        if value is None or limit is None:
            return (limit is None) == bound.first
        return bool(value < limit if bound.key.descending else value > limit)
    return False
