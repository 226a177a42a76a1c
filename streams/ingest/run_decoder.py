"""What one run makes of the points of a fetch: times, entities, values, and what of it can't be used."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.deadletter import DeadLetter, Reason
from schemas.kafka_fields import TIMESTAMP
from schemas.query.values import field_values
from schemas.time_unit import TimeUnit
from streams.features.columns import Input
from streams.features.plan import Plan
from streams.formats.time import number_times, to_time, to_times
from streams.formats.values import Missing, Unusable, only, to_category, to_number
from streams.ingest.entities import NO_ENTITY, Entities, EntityTable
from streams.ingest.hashes import Hashes
from streams.ingest.layout import Layout
from streams.ingest.point_filter import PointFilter
from streams.ingest.points import UNSTAMPED, Points, more_points
from streams.ingest.windows import Batch

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Bad = dict[int, tuple[Reason, str]]
"""Why the points at these places are of no use; the first reason counts."""

_CATEGORIES: frozenset[type] = frozenset((str, int, type(None)))
_HASHED: frozenset[type] = frozenset((str, int, float, type(None)))
_NUMBERS: frozenset[type] = frozenset((float, bool, type(None)))


class RunDecoder:
    """One plan's part of the decoding. ``table`` holds its entities."""

    def __init__(self, plan: Plan, table: EntityTable, layout: Layout, max_ahead_ms: int) -> None:
        self.plan = plan
        self.table = table
        self._max_ahead_ms = max_ahead_ms
        self._layout = layout
        self._hashes = Hashes()
        self._filter = PointFilter(plan.filter) if plan.filter is not None else None
        self._inputs = [(entry, None if entry.filter is None else PointFilter(entry.filter)) for entry in plan.inputs]

    def batch(self, points: Points, letters: list[DeadLetter], counts: Counter[str]) -> Batch:
        """This plan's batch of the points.

        What the plan can't use goes to ``letters``: points without a usable time or entity, and those in which some
        value is of no use and none is of any. ``counts`` gets what else does not count: points that the filter leaves
        out (``filtered``), values that stand for none (``missing``) and others that are no numbers (``unusable``). What
        the filter leaves out is not looked at any further.
        """
        wanted = np.ones(len(points.points), bool) if self._filter is None else self._filter.matching(points)
        times, timeless = self._times(points)
        bad: Bad = {}
        table, codes = self._entities(points, bad)
        codes[~wanted] = NO_ENTITY
        values = _Values(self._layout, self._hashes, points, wanted)
        columns = {entry: values.read(entry, condition) for entry, condition in self._inputs}
        for place, detail in values.useless(columns):
            bad.setdefault(place, ("bad-feature-value", detail))
        bad = {place: why for place, why in bad.items() if wanted[place]} | timeless
        for place in np.flatnonzero(times - points.written > self._max_ahead_ms).tolist():
            ahead = times[place] - points.written[place]
            detail = f"event time {times[place]} is {ahead} ms ahead of the record's Kafka timestamp"
            bad.setdefault(place, ("time-too-far-ahead", detail))
        letters += _letters({place: why for place, why in bad.items() if wanted[place]}, points, self.plan.owner)
        counts.update(values.counts)
        counts["filtered"] += int(np.count_nonzero(~wanted))
        batch = Batch(points.offsets, times, points.written, table, codes, columns)
        return _rearranged(batch, bad, values.several) if bad or values.several else batch

    def _times(self, points: Points) -> tuple[Int64Array, Bad]:
        """The event times, and why some points have none."""
        path, unit = self.plan.time, self.plan.time_unit
        bad: Bad = {}
        if path == TIMESTAMP:
            without = points.written == UNSTAMPED
            bad = dict.fromkeys(np.flatnonzero(without), ("missing-time", "the record has no Kafka timestamp"))
            return np.where(without, 0, points.written), bad
        raw = points.get(path)
        moments = _many_times(raw, unit)
        if moments is not None:
            return moments, bad
        times = np.zeros(len(raw), np.int64)
        for place, value in enumerate(map(only, raw)):
            try:
                if value is None:
                    bad[place] = ("missing-time", f"the record has no {path}")
                else:
                    times[place] = to_time(value, unit)
            except Unusable as error:
                bad[place] = ("bad-time", f"{path}: {error}")
        return times, bad

    def _entities(self, points: Points, bad: Bad) -> tuple[Entities, Int64Array]:
        columns = [self._categories(points, path, bad) for path in self.plan.categories]
        try:
            return self.table.codes(columns, len(points.points))
        except Unusable:
            for path, column in zip(self.plan.categories, columns, strict=True):
                _convert(column, range(len(column)), path, bad)
            return self.table.codes(columns, len(points.points))

    def _categories(self, points: Points, path: str, bad: Bad) -> list[Any]:
        values = points.get(path)
        if path in self._layout.checked:
            _convert(values, points.odd, path, bad)
        elif points.odd or not _CATEGORIES.issuperset(map(type, values)):
            others = [place for place, value in enumerate(values) if type(value) not in _CATEGORIES]
            _convert(values, {*points.odd, *others}, path, bad)
        return values


class _Values:
    """The values of the features' inputs at the points of one fetch.

    ``several`` has the whole lists of the inputs where an array holds more than one number. Values that are of no use
    cost only themselves.
    """

    def __init__(self, layout: Layout, hashes: Hashes, points: Points, wanted: BoolArray) -> None:
        self._layout = layout
        self._hashes = hashes
        self._points = points
        self._wanted = wanted
        self._all_wanted = bool(wanted.all())
        self._complaints: dict[int, str] = {}
        self.several: dict[Input, dict[int, list[float]]] = {}
        self.counts: Counter[str] = Counter()

    def read(self, entry: Input, condition: PointFilter | None) -> Float64Array:
        """One number a point, NaN for none."""
        values = self._plain_numbers(entry)
        if values is not None and condition is None and self._all_wanted:
            return values
        asked = self._wanted if condition is None else self._wanted & condition.matching(self._points)
        if values is None:
            raw = self._raw(entry, asked)
            values = _numbers(raw)
            if values is None:
                several = {place: value for place, value in enumerate(raw) if type(value) is list}
                self.several[entry] = {place: value for place, value in several.items() if asked[place]}
                values = np.array([value[0] if type(value) is list else value for value in raw], np.float64)
        values[~asked] = np.nan
        return values

    def useless(self, columns: Mapping[Input, Float64Array]) -> list[tuple[int, str]]:
        """The points that hold values of no use and none of any use, with what is wrong."""
        return [
            (place, detail)
            for place, detail in self._complaints.items()
            if all(np.isnan(values[place]) for values in columns.values())
        ]

    def _plain_numbers(self, entry: Input) -> Float64Array | None:
        """The values where all points have one number each, nearly always; else None."""
        if self._points.odd or entry.reads != "number" or entry.path not in self._layout.numbers:
            return None
        try:
            return np.array(array("d", self._points.get(entry.path)))
        except (TypeError, OverflowError):
            return None

    def _raw(self, entry: Input, asked: BoolArray) -> list[Any]:
        values = self._points.get(entry.path)
        odd = self._points.odd
        match entry.reads:
            case "number":
                # An odd point may hold numbers that are none, such as NaN.
                places = {*odd, *(place for place, value in enumerate(values) if type(value) not in _NUMBERS)}
                self._convert(values, places, entry.path, to_number, asked)
            case "hash":
                if not odd and _HASHED.issuperset(map(type, values)):
                    try:
                        return list(map(self._hashes.__getitem__, values))
                    except Unusable:
                        pass
                self._convert(values, range(len(values)), entry.path, self._hashes.of, asked)
            case _:
                found = map(only, values)
                return [None if value is None else len(value) if type(value) is list else 1 for value in found]
        return values

    def _convert(
        self, values: list[Any], places: Collection[int], path: str, convert: Callable[[Any], float], asked: BoolArray
    ) -> None:
        all_asked = bool(asked.all())
        for place in places:
            value = values[place]
            values[place] = None
            if value is None or not (all_asked or asked[place]):
                continue
            if type(value) is list:
                found = [
                    number
                    for each in field_values({"": value}, "")
                    if (number := self._converted(each, convert, path, place)) is not None
                ]
                values[place] = None if not found else found[0] if len(found) == 1 else found
            else:
                values[place] = self._converted(value, convert, path, place)

    def _converted(self, value: Any, convert: Callable[[Any], float], path: str, place: int) -> float | None:
        try:
            return convert(value)
        except Missing:
            self.counts["missing"] += 1
        except Unusable as error:
            self.counts["unusable"] += 1
            self._complaints.setdefault(place, f"{path}: {error}")
        return None


def _many_times(raw: Sequence[Any], unit: TimeUnit | None) -> Int64Array | None:
    types = set(map(type, raw))
    if types == {str}:
        return to_times(raw)
    try:
        if types == {int}:
            return number_times(np.array(raw, np.int64), unit)
        if types and types <= {int, float}:
            return number_times(np.array(raw, np.float64), unit)
    except OverflowError:
        pass
    return None


def _letters(bad: Bad, points: Points, owner: str) -> list[DeadLetter]:
    """One for each record, whatever number of points it holds: each letter has all of the record's bytes."""
    places: dict[int, list[int]] = {}
    for place in sorted(bad):
        places.setdefault(int(points.indices[place]), []).append(place)
    letters = []
    for index, (first, *others) in places.items():
        reason, detail = bad[first]
        letters.append(points.origin.letter(index, reason, detail + more_points(len(others)), (owner,)))
    return letters


def _convert(values: list[Any], places: Iterable[int], path: str, bad: Bad) -> None:
    """Make categories of these values."""
    for place in places:
        value = only(values[place])
        if value is not None:
            try:
                value = to_category(value)
            except Unusable as error:
                bad.setdefault(place, ("bad-category-value", f"{path}: {error}"))
                value = None
        values[place] = value


def _numbers(raw: Sequence[Any]) -> Float64Array | None:
    """One number each, NaN for None; None when there are lists among them."""
    try:
        values = np.array(raw, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    # Lists that are all of the same length make a table.
    return values if values.ndim == 1 else None


def _rearranged(batch: Batch, bad: Bad, several: Mapping[Input, Mapping[int, Sequence[float]]]) -> Batch:
    """Without the bad points, and with those that hold several values of a field repeated.

    The first of the repeated ones has the first value of every field, the others have what more there is.
    """
    counts = np.ones(len(batch.times), np.int64)
    for lists in several.values():
        for place, numbers in lists.items():
            counts[place] = max(counts[place], len(numbers))
    counts[list(bad)] = 0
    starts = np.cumsum(counts) - counts
    order = np.repeat(np.arange(len(counts)), counts)
    again = np.ones(len(order), bool)
    again[starts[counts > 0]] = False
    values = {}
    for entry, column in batch.values.items():
        spread = values[entry] = column[order]
        spread[again] = np.nan
        for place, numbers in several.get(entry, {}).items():
            if counts[place]:
                spread[starts[place] : starts[place] + len(numbers)] = numbers
    return Batch(
        batch.offsets[order],
        batch.times[order],
        batch.written[order],
        batch.table,
        batch.entities[order],
        values,
        again,
    )
