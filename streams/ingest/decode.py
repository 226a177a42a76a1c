"""From the records of a topic to batches for its runs, and dead letters for what can't be used."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.deadletter import DeadLetter, Reason
from schemas.query import Query, compile_query
from streams.features.columns import Input
from streams.features.plan import Plan
from streams.ingest.entities import NO_ENTITY, Entities, EntityTable
from streams.ingest.extract import MAX_TIME, Unusable, only, to_category, to_number, to_time, to_times
from streams.ingest.filters import compile_filter
from streams.ingest.hashes import Hashes
from streams.ingest.isolate import Faults, isolate
from streams.ingest.layout import Layout
from streams.ingest.points import Odd, Origin, PointReader, Points, more_points
from streams.ingest.windows import Batch

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Bad = dict[int, tuple[Reason, str]]
"""Why the points at these places are of no use; the first reason counts."""

_offset = attrgetter("offset")

_CATEGORIES: frozenset[type] = frozenset((str, int, type(None)))
_HASHED: frozenset[type] = frozenset((str, int, float, type(None)))
_NUMBERS: frozenset[type] = frozenset((float, bool, type(None)))


@dataclass(frozen=True)
class Decoded:
    """A batch for each plan's owner, and what could not be used."""

    batches: dict[str, Batch]
    dead_letters: list[DeadLetter]


class Decoder:
    """Decodes the records of one topic for all plans that read it.

    A record is a JSON object, or an array of them (several points). What one detector can't use may still be good
    for another: a wrong type costs the record only where the field is needed. ``tables`` are the plans' entities.
    """

    def __init__(self, plans: Sequence[Plan], tables: Sequence[EntityTable], *, max_ahead_ms: int) -> None:
        self.plans = list(plans)
        self.tables = list(tables)
        layout = Layout(plans)
        self._points = PointReader(layout)
        self._faults = Faults()
        self._runs = [
            _RunDecoder(plan, table, layout, max(max_ahead_ms, plan.interval_ms))
            for plan, table in zip(plans, tables, strict=True)
        ]

    def decode(
        self,
        topic: str,
        partition: int,
        records: Sequence[Any],
        owners: Collection[str] | None = None,
    ) -> Decoded:
        """Decode one fetch: records have ``offset``, ``timestamp``, ``key`` and ``value``.

        With ``owners`` only for the plans of these. An event time may be ``max_ahead_ms`` ahead of the record's Kafka
        timestamp: no clock of ours has a say, so a record has the same outcome on every worker and in every replay.
        """
        origin = Origin(topic, partition, records)
        runs = [run for run in self._runs if owners is None or run.plan.owner in owners]
        for run in runs:
            run.table.renew()
        parts = isolate(
            records,
            lambda some: self._decode(replace(origin, records=some), runs),
            lambda record: self._alone(replace(origin, records=[record]), runs),
        )
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _decode(self, origin: Origin, runs: Sequence[_RunDecoder]) -> Decoded:
        letters: list[DeadLetter] = []
        points = self._points.points(origin, letters)
        batches = {run.plan.owner: run.batch(points, origin, letters) for run in runs}
        return Decoded(batches, sorted(letters, key=_offset))

    def _alone(self, origin: Origin, runs: Sequence[_RunDecoder]) -> Decoded:
        """One record that nobody had thought of: a dead letter for the runs that it raises for, and only for these."""
        parts = []
        for run in runs:
            try:
                parts.append(self._decode(origin, [run]))
            except Exception as error:
                self._faults.report(error, origin)
                detail = f"{type(error).__name__}: {error}"[:300]
                nothing = self._decode(replace(origin, records=[]), [run])
                parts.append(replace(nothing, dead_letters=[origin.letter(0, "undecodable", detail, run.plan.owner)]))
        # What is no use to anybody has been dead-lettered for each run.
        letters = dict.fromkeys(letter for part in parts for letter in part.dead_letters)
        return Decoded({owner: batch for part in parts for owner, batch in part.batches.items()}, list(letters))


def _joined(parts: Sequence[Decoded]) -> Decoded:
    batches = {owner: Batch.joined([part.batches[owner] for part in parts]) for owner in parts[0].batches}
    return Decoded(batches, [letter for part in parts for letter in part.dead_letters])


class _RunDecoder:
    """One plan's part of the decoding."""

    def __init__(self, plan: Plan, table: EntityTable, layout: Layout, max_ahead_ms: int) -> None:
        self.plan = plan
        self.table = table
        self._max_ahead_ms = max_ahead_ms
        self._layout = layout
        self._hashes = Hashes()
        self._filter = _Filter(plan.filter, layout) if plan.filter is not None else None
        self._inputs = [
            (entry, None if entry.filter is None else _Filter(entry.filter, layout)) for entry in plan.inputs
        ]

    def batch(self, points: Points, origin: Origin, letters: list[DeadLetter]) -> Batch:
        """This plan's batch of the points."""
        bad: Bad = {}
        several: dict[Input, dict[int, list[float]]] = {}
        times = self._times(points, bad)
        table, entities = self._entities(points, bad)
        values = {entry: self._values(points, entry, condition, bad, several) for entry, condition in self._inputs}
        for place in np.flatnonzero(times - points.written > self._max_ahead_ms).tolist():
            ahead = times[place] - points.written[place]
            detail = f"event time {times[place]} is {ahead} ms ahead of the record's Kafka timestamp"
            bad.setdefault(place, ("time-too-far-ahead", detail))
        letters += _letters(bad, points, origin, self.plan.owner)
        batch = Batch(points.offsets, times, points.written, table, entities, values)
        return _rearranged(batch, bad, several) if bad or several else batch

    def _get(
        self, points: Points, path: str, fine: frozenset[type], convert: Callable[[Any], Any], reason: Reason, bad: Bad
    ) -> list[Any]:
        """The values of a path, converted unless they are of types that are ``fine`` as they are."""
        values = points.get(path, self._layout.getters[path])
        if path in self._layout.checked:
            _convert(values, points.odd, path, convert, reason, bad)
        elif points.odd or not fine.issuperset(map(type, values)):
            others = [place for place, value in enumerate(values) if type(value) not in fine]
            # An odd point may hold numbers that are none, such as NaN.
            _convert(values, {*points.odd, *others}, path, convert, reason, bad)
        return values

    def _times(self, points: Points, bad: Bad) -> Int64Array:
        raw = points.get(self.plan.time, self._layout.getters[self.plan.time])
        if set(map(type, raw)) <= {int}:
            try:
                times = np.array(raw, np.int64)
                if ((times > -MAX_TIME) & (times < MAX_TIME)).all():
                    return times
            except OverflowError:
                pass
        elif raw and set(map(type, raw)) == {str}:
            moments = to_times(raw)
            if moments is not None:
                return moments
        times = np.zeros(len(raw), np.int64)
        for place, value in enumerate(map(only, raw)):
            try:
                if value is None:
                    bad.setdefault(place, ("missing-time", f"the record has no {self.plan.time}"))
                else:
                    times[place] = to_time(value)
            except Unusable as error:
                bad.setdefault(place, ("bad-time", f"{self.plan.time}: {error}"))
        return times

    def _entities(self, points: Points, bad: Bad) -> tuple[Entities, Int64Array]:
        columns = [
            self._get(points, path, _CATEGORIES, to_category, "bad-category-value", bad)
            for path in self.plan.categories
        ]
        try:
            table, codes = self.table.codes(columns, len(points.points))
        except Unusable:
            for path, column in zip(self.plan.categories, columns, strict=True):
                _convert(column, range(len(column)), path, to_category, "bad-category-value", bad)
            table, codes = self.table.codes(columns, len(points.points))
        if self._filter is not None:
            codes[~self._filter.matching(points)] = NO_ENTITY
        return table, codes

    def _values(
        self,
        points: Points,
        entry: Input,
        condition: _Filter | None,
        bad: Bad,
        several: dict[Input, dict[int, list[float]]],
    ) -> Float64Array:
        """One number a point; the whole list goes to ``several`` where an array holds more."""
        values = self._plain_numbers(points, entry)
        raw = self._raw(points, entry, bad) if values is None else ()
        if values is None:
            values = _numbers(raw)
        if values is None:
            several[entry] = {place: value for place, value in enumerate(raw) if type(value) is list}
            values = np.array([value[0] if type(value) is list else value for value in raw], np.float64)
        if condition is not None:
            without = ~condition.matching(points)
            values[without] = np.nan
            for place in np.flatnonzero(without).tolist():
                several.get(entry, {}).pop(place, None)
        return values

    def _plain_numbers(self, points: Points, entry: Input) -> Float64Array | None:
        """The values where all points have one number each, nearly always; else None."""
        if points.odd or entry.reads != "number" or entry.path not in self._layout.numbers:
            return None
        try:
            return np.array(array("d", points.get(entry.path, self._layout.getters[entry.path])))
        except (TypeError, OverflowError):
            return None

    def _raw(self, points: Points, entry: Input, bad: Bad) -> list[Any]:
        match entry.reads:
            case "number":
                return self._get(points, entry.path, _NUMBERS, _each(to_number), "bad-feature-value", bad)
            case "hash":
                values = points.get(entry.path, self._layout.getters[entry.path])
                if not points.odd and _HASHED.issuperset(map(type, values)):
                    try:
                        return list(map(self._hashes.__getitem__, values))
                    except Unusable:
                        pass
                convert = _each(self._hashes.of)
                _convert(values, range(len(values)), entry.path, convert, "bad-feature-value", bad)
                return values
        found = map(only, points.get(entry.path, self._layout.getters[entry.path]))
        return [None if value is None else len(value) if type(value) is list else 1 for value in found]


def _letters(bad: Bad, points: Points, origin: Origin, owner: str) -> list[DeadLetter]:
    """One for each record, whatever number of points it holds: each letter has all of the record's bytes."""
    places: dict[int, list[int]] = {}
    for place in sorted(bad):
        places.setdefault(int(points.indices[place]), []).append(place)
    letters = []
    for index, (first, *others) in places.items():
        reason, detail = bad[first]
        letters.append(origin.letter(index, reason, detail + more_points(len(others)), owner))
    return letters


def _convert(
    values: list[Any], places: Iterable[int], path: str, convert: Callable[[Any], Any], reason: Reason, bad: Bad
) -> None:
    for place in places:
        value = only(values[place])
        if value is not None:
            try:
                value = convert(value)
            except Unusable as error:
                bad.setdefault(place, (reason, f"{path}: {error}"))
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


def _each(convert: Callable[[Any], float]) -> Callable[[Any], Any]:
    return lambda value: [convert(item) for item in value] if type(value) is list else convert(value)


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


class _Filter:
    """A query over the fields that it names."""

    def __init__(self, query: Query, layout: Layout) -> None:
        self._matches = compile_query(query)
        self._many = None if layout.whole else compile_filter(query)
        # With layout.whole there may be patterns among the fields, but then no point asks for them.
        self._getters = {path: layout.getters[path] for path in query.fields()}

    def matching(self, points: Points) -> BoolArray:
        """Which points match."""
        if self._many is None:
            documents = map(self._document, points.points)
            return np.fromiter(map(self._matches, documents), bool, len(points.points))
        found = self._many(lambda path: list(map(self._getters[path], points.plain)), len(points.plain))
        for place in points.odd:
            found[place] = self._matches(points.points[place].document)
        return found

    def _document(self, point: Any) -> Mapping[str, Any]:
        if type(point) is Odd:
            return point.document
        values = ((path, getter(point)) for path, getter in self._getters.items())
        return {path: value for path, value in values if value is not None}
