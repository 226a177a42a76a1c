"""From the records of a topic to batches for its runs, and dead letters for what can't be used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.deadletter import DeadLetter, Reason
from schemas.query import Query, compile_query
from streams.columns import Input
from streams.ingest.entities import NO_ENTITY, Entities, EntityTable
from streams.ingest.extract import (
    MAX_TIME,
    Unusable,
    only,
    read_leniently,
    shown,
    to_category,
    to_number,
    to_time,
    values_of,
)
from streams.ingest.hashes import Hashes
from streams.ingest.layout import Layout
from streams.ingest.windows import Batch
from streams.plan import Plan

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Bad = dict[int, tuple[Reason, str]]
"""Why the points at these places are of no use; the first reason counts."""

_offset = attrgetter("offset")
_CATEGORIES: frozenset[type] = frozenset((str, int, type(None)))
_HASHED: frozenset[type] = frozenset((str, int, float, type(None)))
_NUMBERS: frozenset[type] = frozenset((float, type(None)))
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_TOO_DEEP = "the JSON is nested too deep"
_LARGEST_LETTER = 900_000
"""Bytes: with its headers a dead letter must fit into a message of Kafka's default size, or no worker gets past it."""


@dataclass(frozen=True)
class Decoded:
    """A batch for each plan's owner, and what could not be used."""

    batches: dict[str, Batch]
    dead_letters: list[DeadLetter]


class _Odd:
    """A point that the fast way could not read: judged value by value, for each plan by itself."""

    __slots__ = ("document",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def get(self, path: str) -> Any:
        return only(values_of(self.document, path))


@dataclass(frozen=True)
class _Points:
    """The points of one call: ``indices`` and ``offsets`` of the records they come from, places of the odd ones."""

    points: Sequence[Any]
    indices: Int64Array
    offsets: Int64Array
    odd: Sequence[int]

    def get(self, path: str, getter: Callable[[Any], Any]) -> list[Any]:
        if not self.odd:
            return list(map(getter, self.points))
        return [point.get(path) if type(point) is _Odd else getter(point) for point in self.points]


@dataclass(frozen=True)
class _Origin:
    """Where the points of one call come from."""

    topic: str
    partition: int
    records: Sequence[Any]

    def letter(self, index: int, reason: Reason, detail: str, owner: str = "") -> DeadLetter:
        record = self.records[index]
        value = record.value
        if len(value) > _LARGEST_LETTER:
            detail += f" (the first {_LARGEST_LETTER} of {len(value)} bytes)"
            value = value[:_LARGEST_LETTER]
        return DeadLetter(self.topic, self.partition, record.offset, reason, detail, record.key, value, owner)


class Decoder:
    """Decodes the records of one topic for all plans that read it.

    A record is a JSON object, or an array of them (several points). What one detector can't use may still be good
    for another: a wrong type costs the record only where the field is needed. ``tables`` are the plans' entities.
    """

    def __init__(self, plans: Sequence[Plan], tables: Sequence[EntityTable], *, max_ahead_ms: int) -> None:
        self.plans = list(plans)
        self.tables = list(tables)
        self._layout = Layout(plans)
        self._runs = [
            _RunDecoder(plan, table, self._layout, max(max_ahead_ms, plan.interval_ms))
            for plan, table in zip(plans, tables, strict=True)
        ]

    def decode(
        self,
        topic: str,
        partition: int,
        records: Sequence[Any],
        now: int,
        owners: Collection[str] | None = None,
    ) -> Decoded:
        """Decode one fetch: records have ``offset``, ``key`` and ``value``; ``now`` is the wall clock in ms.

        With ``owners`` only for the plans of these.
        """
        origin = _Origin(topic, partition, records)
        try:
            return self._decode(origin, now, owners)
        except RecursionError:
            # JSON that could be read may still be nested too deep for who looks into it.
            return self._without_deep(origin, now, owners)

    def _without_deep(self, origin: _Origin, now: int, owners: Collection[str] | None) -> Decoded:
        usable, letters = [], []
        for index, record in enumerate(origin.records):
            try:
                self._decode(replace(origin, records=[record]), now, owners)
                usable.append(record)
            except RecursionError:
                letters.append(origin.letter(index, "malformed-json", _TOO_DEEP))
        decoded = self._decode(replace(origin, records=usable), now, owners)
        return replace(decoded, dead_letters=_in_order(decoded.dead_letters + letters))

    def _decode(self, origin: _Origin, now: int, owners: Collection[str] | None) -> Decoded:
        letters: list[DeadLetter] = []
        points = self._points(origin, letters)
        batches = {
            run.plan.owner: run.batch(points, now, origin, letters)
            for run in self._runs
            if owners is None or run.plan.owner in owners
        }
        return Decoded(batches, _in_order(letters))

    def _points(self, origin: _Origin, letters: list[DeadLetter]) -> _Points:
        records = origin.records
        offsets = np.fromiter(map(_offset, records), np.int64, len(records))
        if not self._layout.whole:
            decode = self._layout.decode
            try:
                return _Points([decode(record.value) for record in records], np.arange(len(records)), offsets, ())
            except (*_UNREADABLE, TypeError):
                pass
        points: list[Any] = []
        indices: list[int] = []
        for index, record in enumerate(records):
            if record.value is not None:
                found = list(self._one(index, origin, letters))
                points += found
                indices += [index] * len(found)
        at = np.array(indices, np.int64)
        odd = [place for place, point in enumerate(points) if type(point) is _Odd]
        return _Points(points, at, offsets[at], odd)

    def _one(self, index: int, origin: _Origin, letters: list[DeadLetter]) -> Iterator[Any]:
        value = origin.records[index].value
        if not self._layout.whole:
            several = value.lstrip()[:1] == b"["
            try:
                yield from self._layout.decode_many(value) if several else (self._layout.decode(value),)
                return
            except _UNREADABLE:
                pass
        try:
            document = _document(value)
        except _UNREADABLE as error:
            letters.append(origin.letter(index, "malformed-json", _complaint(value, error)))
            return
        for point in document if isinstance(document, list) else [document]:
            if isinstance(point, dict):
                yield _Odd(point)
            else:
                detail = f"a JSON object is expected, not {shown(point)}"
                letters.append(origin.letter(index, "not-an-object", detail))


def _in_order(letters: list[DeadLetter]) -> list[DeadLetter]:
    return sorted(letters, key=lambda letter: letter.offset)


def _document(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        try:
            return read_leniently(value)
        except (ValueError, RecursionError):
            raise error from None


def _complaint(value: bytes, error: Exception) -> str:
    if not value.strip():
        return "the record is empty"
    return _TOO_DEEP if isinstance(error, RecursionError) else str(error)[:200]


class _RunDecoder:
    """One plan's part of the decoding."""

    def __init__(self, plan: Plan, table: EntityTable, layout: Layout, max_ahead_ms: int) -> None:
        self.plan = plan
        self._table = table
        self._max_ahead_ms = max_ahead_ms
        self._layout = layout
        self._hashes = Hashes()
        self._filter = _Filter(plan.filter, layout) if plan.filter is not None else None
        self._inputs = [
            (entry, None if entry.filter is None else _Filter(entry.filter, layout)) for entry in plan.inputs
        ]

    def batch(self, points: _Points, now: int, origin: _Origin, letters: list[DeadLetter]) -> Batch:
        """This plan's batch of the points."""
        bad: Bad = {}
        several: dict[Input, dict[int, list[float]]] = {}
        times = self._times(points, bad)
        table, entities = self._entities(points, bad)
        values = {entry: self._values(points, entry, condition, bad, several) for entry, condition in self._inputs}
        for place in np.flatnonzero(times > now + self._max_ahead_ms).tolist():
            detail = f"event time {times[place]} is {times[place] - now} ms ahead of the wall clock"
            bad.setdefault(place, ("time-too-far-ahead", detail))
        letters += [origin.letter(int(points.indices[at]), *bad[at], self.plan.owner) for at in sorted(bad)]
        batch = Batch(points.offsets, times, table, entities, values)
        return _rearranged(batch, bad, several) if bad or several else batch

    def _get(
        self, points: _Points, path: str, fine: frozenset[type], convert: Callable[[Any], Any], reason: Reason, bad: Bad
    ) -> list[Any]:
        """The values of a path, converted unless they are of types that are ``fine`` as they are."""
        values = points.get(path, self._layout.getters[path])
        if path in self._layout.checked:
            _convert(values, points.odd, path, convert, reason, bad)
        elif points.odd or not fine.issuperset(map(type, values)):
            _convert(values, range(len(values)), path, convert, reason, bad)
        return values

    def _times(self, points: _Points, bad: Bad) -> Int64Array:
        raw = points.get(self.plan.time, self._layout.getters[self.plan.time])
        if set(map(type, raw)) <= {int}:
            try:
                times = np.array(raw, np.int64)
                if ((times > -MAX_TIME) & (times < MAX_TIME)).all():
                    return times
            except OverflowError:
                pass
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

    def _entities(self, points: _Points, bad: Bad) -> tuple[Entities, Int64Array]:
        columns = [
            self._get(points, path, _CATEGORIES, to_category, "bad-category-value", bad)
            for path in self.plan.categories
        ]
        table, codes = self._table.codes(columns, len(points.points))
        if self._filter is not None:
            codes[~self._filter.matching(points.points)] = NO_ENTITY
        return table, codes

    def _values(
        self,
        points: _Points,
        entry: Input,
        condition: _Filter | None,
        bad: Bad,
        several: dict[Input, dict[int, list[float]]],
    ) -> Float64Array:
        """One number a point; the whole list goes to ``several`` where an array holds more."""
        raw = self._raw(points, entry, bad)
        values = _numbers(raw)
        if values is None:
            several[entry] = {place: value for place, value in enumerate(raw) if type(value) is list}
            values = np.array([value[0] if type(value) is list else value for value in raw], np.float64)
        if condition is not None:
            without = ~condition.matching(points.points)
            values[without] = np.nan
            for place in np.flatnonzero(without).tolist():
                several.get(entry, {}).pop(place, None)
        return values

    def _raw(self, points: _Points, entry: Input, bad: Bad) -> list[Any]:
        match entry.reads:
            case "number":
                return self._get(points, entry.path, _NUMBERS, _each(to_number), "bad-feature-value", bad)
            case "hash":
                values = points.get(entry.path, self._layout.getters[entry.path])
                if not points.odd and _HASHED.issuperset(map(type, values)):
                    return list(map(self._hashes.__getitem__, values))
                convert = _each(self._hashes.of)
                _convert(values, range(len(values)), entry.path, convert, "bad-feature-value", bad)
                return values
        found = map(only, points.get(entry.path, self._layout.getters[entry.path]))
        return [None if value is None else len(value) if type(value) is list else 1 for value in found]


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
    except (TypeError, ValueError):
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
    return Batch(batch.offsets[order], batch.times[order], batch.table, batch.entities[order], values)


class _Filter:
    """A query over the fields that it names."""

    def __init__(self, query: Query, layout: Layout) -> None:
        self._matches = compile_query(query)
        # With layout.whole there may be patterns among the fields, but then no point asks for them.
        self._getters = {path: layout.getters[path] for path in query.fields()}

    def matching(self, points: Sequence[Any]) -> npt.NDArray[np.bool_]:
        """Which points match."""
        return np.fromiter((self._matches(self._document(point)) for point in points), bool, len(points))

    def _document(self, point: Any) -> Mapping[str, Any]:
        if type(point) is _Odd:
            return point.document
        values = ((path, getter(point)) for path, getter in self._getters.items())
        return {path: value for path, value in values if value is not None}
