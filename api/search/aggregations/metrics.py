"""Metric aggregations: from values, or from sums that SQL made, to what the response shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from schemas.query.dates import format_date
from schemas.query.fields import FieldType


def metric(kind: str, settings: dict[str, Any], type_: FieldType | None, values: list[Any]) -> dict[str, Any]:
    """The result of a metric over all values of its field.

    >>> metric("avg", {}, "double", [1, 2])
    {'value': 1.5}
    """
    return metric_result(kind, settings, type_, _columns(kind, settings, values))


def _columns(kind: str, settings: dict[str, Any], values: list[Any]) -> Sequence[Any]:
    """What SQL computes of a metric, from the values themselves."""
    if kind in ("value_count", "cardinality"):
        return [len(values) if kind == "value_count" else len(set(values))]
    numbers = sorted(map(float, values))
    total = math.fsum(numbers)
    low, high = (numbers[0], numbers[-1]) if numbers else (None, None)
    if kind == "extended_stats":
        return len(numbers), low, high, total, math.fsum(number * number for number in numbers)
    if kind == "percentiles":
        return [[quantile(numbers, one / 100) for one in settings["percents"]]]
    if kind in ("min", "max", "sum"):
        return [{"min": low, "max": high, "sum": total}[kind]]
    return [total / len(numbers) if numbers else None]


def metric_result(
    kind: str, settings: dict[str, Any], type_: FieldType | None, columns: Sequence[Any]
) -> dict[str, Any]:
    """The result of a metric from what was computed of it: one number, those of ``extended_stats``, or a list."""
    first = columns[0]
    if kind in ("value_count", "cardinality"):
        return {"value": int(first or 0)}
    if kind == "extended_stats":
        count, low, high, total, squares = columns
        bounds = [None if bound is None else float(bound) for bound in (low, high)]
        return stats(settings, type_, int(count or 0), bounds[0], bounds[1], total or 0.0, squares or 0.0)
    if kind == "percentiles":
        return percentiles(settings, type_, first if first is not None else [None] * len(settings["percents"]))
    return single(type_, first or 0.0 if kind == "sum" else first, settings.get("format"))


def single(type_: FieldType | None, value: float | None, form: str | None = None) -> dict[str, Any]:
    """A metric of one number; dates are also given as text, in the format ``form``.

    >>> single("date", 1795493335499.0)
    {'value': 1795493335499.0, 'value_as_string': '2026-11-24T04:08:55.499Z'}
    """
    if value is None or not math.isfinite(value):
        return {"value": None}
    shown: dict[str, Any] = {"value": float(value)}
    return {**shown, "value_as_string": format_date(value, form=form)} if type_ == "date" else shown


def stats(
    settings: dict[str, Any],
    type_: FieldType | None,
    count: int,
    low: float | None,
    high: float | None,
    total: float,
    squares: float,
) -> dict[str, Any]:
    """``extended_stats`` from count, bounds, sum and sum of squares."""
    average = total / count if count else None
    shown: dict[str, Any] = {"count": count, "min": low, "max": high, "avg": average, "sum": total}
    if type_ == "date" and count:
        form = settings.get("format")
        shown |= {f"{name}_as_string": format_date(shown[name], form=form) for name in ("min", "max", "avg", "sum")}
    population = sampling = None
    if average is not None:
        population = max(0.0, squares / count - average * average)
        sampling = population * count / (count - 1) if count > 1 else None
    names = ("variance", "variance_population", "variance_sampling")
    variances = dict(zip(names, (population, population, sampling), strict=True))
    deviations = {
        name.replace("variance", "std_deviation"): None if variance is None else math.sqrt(variance)
        for name, variance in variances.items()
    }
    bounds: dict[str, Any] = {}
    for end, name in (("", ""), ("_population", "_population"), ("_sampling", "_sampling")):
        spread = deviations[f"std_deviation{name}"]
        for side, sign in (("upper", 1), ("lower", -1)):
            known = average is not None and spread is not None
            bounds[side + end] = average + sign * settings["sigma"] * spread if known else None
    squared = squares if count else None
    return {**shown, "sum_of_squares": squared, **variances, **deviations, "std_deviation_bounds": bounds}


def percentiles(settings: dict[str, Any], type_: FieldType | None, values: list[float | None]) -> dict[str, Any]:
    """``percentiles`` from the value of each percent."""
    pairs = list(zip(settings["percents"], values, strict=True))
    if not settings["keyed"]:
        return {"values": [{"key": percent, "value": value} for percent, value in pairs]}
    shown: dict[str, Any] = {}
    for percent, value in pairs:
        shown[str(percent)] = value
        if type_ == "date" and value is not None:
            shown[f"{percent}_as_string"] = format_date(value, form=settings.get("format"))
    return {"values": shown}


def quantile(numbers: list[float], share: float) -> float | None:
    """The value below which a share of sorted numbers lies, interpolated.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.5
    """
    if not numbers:
        return None
    at = share * (len(numbers) - 1)
    low = math.floor(at)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (at - low)
