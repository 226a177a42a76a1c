"""Executes aggregations over a ``Slice``: some documents, in memory or in the results store.

Here is everything about the shape of the answer: which buckets there are, their order, size, keys and gaps. A
slice only counts, groups and filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from api.search.aggregations.bucket_path import value_at
from api.search.aggregations.intervals import ROUGHLY, DateGrid, NumberGrid
from api.search.aggregations.kinds import MAX_TOP_HITS, METRICS, NUMERIC
from api.search.aggregations.slice import Grid, Group, Key, Slice
from api.search.aggregations.tree import Aggregation
from api.search.bind.sorting import text_field
from schemas.errors import Refused
from schemas.query.bind import bind, typed
from schemas.query.conditions import Between, Not, Nothing
from schemas.query.dates import format_date, parse_date, read_zone
from schemas.query.errors import wrong_value
from schemas.query.fields import Field, FieldType, nested_path, stored_path
from schemas.query.pattern import compile_regexp


def aggregate(aggregations: Mapping[str, Aggregation], slice_: Slice) -> dict[str, Any]:
    """The results of all aggregations, by name. Raises ``Refused`` for fields that can't be aggregated."""
    return {name: _one(one, slice_) for name, one in aggregations.items() if one.kind != "bucket_sort"}


def resolve(name: str | None, slice_: Slice, kind: str = "") -> tuple[Field | None, FieldType | None]:
    """A field as an aggregation sees it, with its type: no field when it has no values here."""
    if name in ("_id", "_seq_no", "_index"):
        raise wrong_value(f"Aggregating by the metadata field [{name}] is not supported")
    type_ = slice_.types.get(name or "")
    if name is None or type_ is None or type_ in ("object", "nested"):
        return None, None
    if type_ == "text":
        raise text_field(name)
    if kind in NUMERIC and type_ in ("keyword", "text"):
        raise _unfit(name, type_, kind)
    scope = nested_path(slice_.types, name)
    return (Field(stored_path(slice_.types, name), type_, scope) if scope == slice_.scope else None), type_


def _unfit(name: str, type_: FieldType | None, kind: str) -> Refused:
    return wrong_value(f"Field [{name}] of type [{type_}] is not supported for aggregation [{kind}]")


def _one(one: Aggregation, slice_: Slice) -> Any:
    if one.kind in METRICS:
        result = slice_.metric(one, resolve(one.settings["field"], slice_, one.kind)[0])
    elif one.kind == "top_hits":
        result = slice_.top_hits(one.settings)
    else:
        result = _BUCKETS[one.kind](one, slice_)
    return {"meta": one.meta, **result} if one.meta is not None else result


def _take_hits(one: Aggregation, slice_: Slice, counts: list[int]) -> None:
    """Count the hits that buckets with so many documents will show, before the first of them is looked for."""
    for child in one.children.values():
        if child.kind == "top_hits":
            size = child.settings["size"]
            slice_.budget.take_hits(sum(min(size, count) for count in counts))


def _single(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    return {"doc_count": slice_.count(), **aggregate(one.children, slice_)}


def _filter(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    return _single(one, slice_.where(bind(one.settings["query"], slice_.types, slice_.now, slice_.scope)))


def _nested(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    path = one.settings["path"]
    if slice_.types.get(path) != "nested" or nested_path(slice_.types, path) != slice_.scope:
        return {"doc_count": 0}
    return _single(one, slice_.nested(Field(path, "nested", slice_.scope)))


def _reverse_nested(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    if not slice_.scope:
        raise wrong_value(f"Reverse nested aggregation [{one.name}] can only be used inside a [nested] aggregation")
    return _single(one, slice_.root())


def _filters(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    settings = one.settings
    conditions = {
        key: bind(query, slice_.types, slice_.now, slice_.scope) for key, query in settings["queries"].items()
    }
    slice_.budget.take(len(conditions))
    _take_hits(one, slice_, [MAX_TOP_HITS] * len(conditions))
    buckets = {key: _single(one, slice_.where(condition)) for key, condition in conditions.items()}
    if settings["other"] is not None:
        rest = slice_
        for condition in conditions.values():
            rest = rest.where(Not(condition))
        buckets[settings["other"]] = _single(one, rest)
    return {"buckets": buckets if settings["keyed"] else list(buckets.values())}


def _range(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    settings = one.settings
    field_, type_ = resolve(settings["field"], slice_, one.kind)
    if type_ in ("keyword", "boolean"):
        raise _unfit(settings["field"], type_, one.kind)
    dates = one.kind == "date_range" or type_ == "date"
    slice_.budget.take(len(settings["ranges"]))
    _take_hits(one, slice_, [MAX_TOP_HITS] * len(settings["ranges"]))
    buckets, form = [], settings.get("format")
    for one_range in settings["ranges"]:
        low, high = (
            None
            if (bound := one_range.get(name)) is None
            else float(
                parse_date(bound, now=slice_.now, form=settings.get("format"), zone=settings.get("zone"))
                if dates
                else typed("double", bound)
            )
            for name in ("from", "to")
        )
        texts = [
            "*" if bound is None else format_date(bound, form=form) if dates else str(bound) for bound in (low, high)
        ]
        bucket: dict[str, Any] = {"key": str(one_range.get("key", "-".join(texts)))}
        for name, bound, text in (("from", low, texts[0]), ("to", high, texts[1])):
            if bound is not None:
                bucket |= {name: bound, **({f"{name}_as_string": text} if dates else {})}
        part = slice_.where(Nothing() if field_ is None else Between(field_, low, high, True, False))
        buckets.append((low, high, {**bucket, **_single(one, part)}))
    buckets.sort(key=lambda bucket: (-math.inf if bucket[0] is None else bucket[0], bucket[1] or math.inf))
    shown = [bucket for _, _, bucket in buckets]
    return {"buckets": {bucket.pop("key"): bucket for bucket in shown} if settings["keyed"] else shown}


def _terms(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    settings = one.settings
    field_, type_ = resolve(settings["field"], slice_, one.kind)
    missing = None if settings["missing"] is None else _typed(type_ or "keyword", settings["missing"], slice_.now)
    groups = slice_.groups((Key(field_, missing=missing),), one.children)
    groups = [group for group in groups if group.count >= settings["min_doc_count"]]
    groups = _chosen(groups, settings["include"], settings["exclude"], type_ or "keyword", slice_.now)
    orders = settings["order"] or [("_count", True)]
    if all(key != "_key" for key, _ in orders):
        orders = [*orders, ("_key", False)]
    groups = _ordered(one, groups, orders)
    kept = slice_.keep(groups[: settings["size"]])
    slice_.budget.take(len(kept))
    _take_hits(one, slice_, [group.count for group in kept])
    error = {"doc_count_error_upper_bound": 0} if settings["errors"] else {}
    buckets = [
        {**_key_of(group.key, type_ or "keyword", settings["format"]), **_filled(one, group), **error} for group in kept
    ]
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(group.count for group in groups[len(kept) :]),
        "buckets": _bucket_sort(one, buckets),
    }


def _typed(type_: FieldType, value: Any, now: int) -> Any:
    return parse_date(value, now=now) if type_ == "date" else typed(type_, value)


def _chosen(groups: list[Group], include: Any, exclude: Any, type_: FieldType, now: int) -> list[Group]:
    def test(wanted: Any) -> Callable[[Any], bool]:
        if isinstance(wanted, str):
            if type_ != "keyword":
                raise wrong_value(
                    "Aggregation cannot support regular expression style include/exclude settings as they can only be "
                    "applied to string fields. Use an array of values for include/exclude clauses"
                )
            return compile_regexp(wanted)
        return frozenset(_typed(type_, value, now) for value in wanted).__contains__

    if include is not None:
        included = test(include)
        groups = [group for group in groups if included(group.key)]
    if exclude is not None:
        excluded = test(exclude)
        groups = [group for group in groups if not excluded(group.key)]
    return groups


def _key_of(key: Any, type_: FieldType, form: str | None = None) -> dict[str, Any]:
    if type_ == "boolean":
        return {"key": int(key), "key_as_string": "true" if key else "false"}
    if type_ == "date":
        return {"key": key, "key_as_string": format_date(key, form=form)}
    return {"key": float(key) if type_ == "double" else key}


def _filled(one: Aggregation, group: Group) -> dict[str, Any]:
    """The count of a group and all results inside it."""
    rest = {name: child for name, child in one.children.items() if name not in group.results}
    made = {**group.results, **aggregate(rest, group.slice)} if rest else group.results
    return {"doc_count": group.count, **{name: made[name] for name in one.children if name in made}}


def _ordered(one: Aggregation, groups: list[Group], orders: Iterable[tuple[str, bool]]) -> list[Group]:
    for path, descending in reversed(list(orders)):
        if path in ("_key", "_count"):
            groups.sort(key=lambda group, path=path: group.key if path == "_key" else group.count, reverse=descending)  # type: ignore[misc]
            continue
        name = path.partition(">")[0].partition(".")[0]
        if name not in one.children:
            raise Refused(
                400,
                f"Invalid aggregation order path [{path}]. The provided aggregation [{name}] either does not exist, or "
                "is a pipeline aggregation and cannot be used to sort the buckets.",
                "aggregation_execution_exception",
            )
        for group in groups:
            if name not in group.results:
                group.results[name] = _one(one.children[name], group.slice)
        values = [(value_at(group.results, path, one), group) for group in groups]
        there = [pair for pair in values if pair[0] is not None]
        there.sort(key=lambda pair: pair[0], reverse=descending)
        groups = [group for _, group in there] + [group for value, group in values if value is None]
    return groups


def _bucket_sort(one: Aggregation, buckets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for child in one.children.values():
        if child.kind != "bucket_sort":
            continue
        for path, descending in reversed(child.settings["orders"]):
            keyed = []
            for bucket in buckets:
                value = {"_key": bucket["key"], "_count": bucket["doc_count"]}.get(path)
                keyed.append((value_at(bucket, path, one) if path not in ("_key", "_count") else value, bucket))
            if child.settings["gap"] == "insert_zeros":
                keyed = [(0 if value is None else value, bucket) for value, bucket in keyed]
            there: list[tuple[Any, dict[str, Any]]] = [pair for pair in keyed if pair[0] is not None]
            there.sort(key=lambda pair: pair[0], reverse=descending)
            buckets = [bucket for _, bucket in there]
        start, size = child.settings["from"], child.settings["size"]
        buckets = buckets[start : None if size is None else start + size]
    return buckets


def _grid_of(kind: str, settings: dict[str, Any]) -> Grid:
    if kind == "histogram":
        return NumberGrid(settings["interval"], settings["offset"] or 0.0)
    return DateGrid(settings["fixed"], settings["calendar"], settings["offset"], settings["zone"])


def _histogram(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    settings = one.settings
    dates = one.kind == "date_histogram"
    field_, type_ = resolve(settings["field"], slice_, one.kind)
    if type_ in ("keyword", "boolean") or (dates and type_ not in (None, "date", "long")):
        raise _unfit(settings["field"], type_, one.kind)
    grid = _grid_of(one.kind, settings)

    def read(value: Any) -> Any:
        return parse_date(value, now=slice_.now, zone=settings["zone"]) if dates else typed("double", value)

    missing = None if settings["missing"] is None else read(settings["missing"])
    groups = slice_.groups((Key(field_, grid, missing),), one.children)
    low, high = (None if one is None else read(one) for one in settings["hard_bounds"] or (None, None))
    groups = [group for group in groups if (low is None or group.key >= low) and (high is None or group.key <= high)]
    groups.sort(key=lambda group: group.key)
    if settings["min_doc_count"] == 0:
        bounds = [None if one is None else read(one) for one in settings["extended_bounds"] or (None, None)]
        if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
            text = f"[extended_bounds.min][{bounds[0]}] cannot be greater than [extended_bounds.max][{bounds[1]}]"
            if not dates:
                raise wrong_value(f"max bound [{bounds[1]:.1f}] must be greater than min bound: [{bounds[0]:.1f}]")
            raise wrong_value(f"{text} for histogram aggregation [{one.name}]")
        groups = _without_gaps(groups, grid, bounds, slice_)
    groups = [group for group in groups if group.count >= settings["min_doc_count"]]
    if settings["order"] and settings["order"] != [("_key", False)]:
        groups = _ordered(one, groups, settings["order"])
    slice_.budget.take(len(groups))
    _take_hits(one, slice_, [group.count for group in groups])
    zone = read_zone(settings["zone"]) if dates else None
    buckets = []
    for group in slice_.keep(groups):
        if dates:
            text = format_date(group.key, zone, settings["format"]) if zone else ""
            shown: dict[str, Any] = {"key_as_string": text, "key": int(group.key)}
        else:
            shown = {"key": float(group.key)}
        buckets.append({**shown, **_filled(one, group)})
    buckets = _bucket_sort(one, buckets)
    if settings["keyed"]:
        return {"buckets": {bucket.get("key_as_string", str(bucket["key"])): bucket for bucket in buckets}}
    return {"buckets": buckets}


def _without_gaps(groups: list[Group], grid: Grid, bounds: list[Any], slice_: Slice) -> list[Group]:
    starts = [groups[0].key, groups[-1].key] if groups else []
    starts += [grid.floor(bound) for bound in bounds if bound is not None]
    if not starts:
        return groups
    step = grid.interval if isinstance(grid, NumberGrid) else grid.fixed or ROUGHLY[grid.unit or "s"]
    slice_.budget.check((max(starts) - min(starts)) / step)
    known = {group.key: group for group in groups}
    filled: list[Group] = []
    at, end = min(starts), max(starts)
    while at <= end:
        filled.append(known.pop(at) if at in known else Group(at, 0, slice_.where(Nothing())))
        following = grid.next(at)
        if following <= at:  # an interval so small that adding it changes nothing
            break
        at = following
    filled += known.values()
    filled.sort(key=lambda group: group.key)
    return filled


def _composite(one: Aggregation, slice_: Slice) -> dict[str, Any]:
    settings = one.settings
    keys, types, signs = [], [], []
    for _, kind, source in settings["sources"]:
        field_, type_ = resolve(source["field"], slice_, kind)
        grid = None if kind == "terms" else _grid_of(kind, source)
        keys.append(Key(field_, grid, None, source["with_missing"]))
        types.append(type_ or "keyword")
        signs.append(source["descending"])
    groups = slice_.groups(tuple(keys), one.children)
    if len(keys) == 1:
        groups = [replace(group, key=(group.key,)) for group in groups]
    for at in reversed(range(len(keys))):
        groups.sort(key=lambda group, at=at: _nullable(group.key[at]), reverse=signs[at])  # type: ignore[misc]
    names = [name for name, _, _ in settings["sources"]]
    if settings["after"] is not None:
        after = tuple(
            None if (value := settings["after"][name]) is None else _typed(type_, value, slice_.now)
            for name, type_ in zip(names, types, strict=True)
        )
        groups = [group for group in groups if _comes_after(group.key, after, signs)]
    kept = slice_.keep(groups[: settings["size"]])
    slice_.budget.take(len(kept))
    _take_hits(one, slice_, [group.count for group in kept])
    buckets = [
        {
            "key": {
                name: None if value is None else _key_of(value, type_)["key"]
                for name, value, type_ in zip(names, group.key, types, strict=True)
            },
            **_filled(one, group),
        }
        for group in kept
    ]
    shown = {"after_key": buckets[-1]["key"]} if buckets else {}
    return {**shown, "buckets": _bucket_sort(one, buckets)}


def _nullable(value: Any) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, value)


def _comes_after(key: tuple[Any, ...], after: tuple[Any, ...], signs: list[bool]) -> bool:
    for value, limit, descending in zip(key, after, signs, strict=True):
        if value != limit:
            return (_nullable(value) < _nullable(limit)) == descending
    return False


_BUCKETS: dict[str, Callable[[Aggregation, Slice], dict[str, Any]]] = {
    "composite": _composite,
    "date_histogram": _histogram,
    "date_range": _range,
    "filter": _filter,
    "filters": _filters,
    "histogram": _histogram,
    "nested": _nested,
    "range": _range,
    "reverse_nested": _reverse_nested,
    "terms": _terms,
}
