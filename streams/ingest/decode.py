"""From the records of a topic to batches for its runs, and dead letters for what can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.deadletter import DeadLetter, Reason
from schemas.query import Query, compile_query
from streams.columns import Input
from streams.ingest.entities import NO_ENTITY, EntityTable
from streams.ingest.extract import MISSING, Unusable, find, to_category, to_number, to_time
from streams.ingest.layout import Layout
from streams.ingest.windows import Batch
from streams.plan import Plan

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


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


@dataclass(frozen=True)
class _Origin:
    """Where the points of one call come from."""

    topic: str
    partition: int
    records: Sequence[Any]

    def letter(self, index: int, reason: Reason, detail: str, owner: str = "") -> DeadLetter:
        record = self.records[index]
        return DeadLetter(
            self.topic, self.partition, record.offset, reason, detail, record.key, record.value, owner
        )


class Decoder:
    """Decodes the records of one topic for all plans that read it.

    A record is a JSON object, or an array of them (several points). What one detector can't use may still be good
    for another: a wrong type costs the record only where the field is needed.
    """

    def __init__(self, plans: Sequence[Plan], tables: Sequence[EntityTable], *, max_ahead_ms: int) -> None:
        self.plans = list(plans)
        self.tables = list(tables)
        self._layout = Layout(plans)
        self._runs = [
            _RunDecoder(plan, table, self._layout, max(max_ahead_ms, plan.interval_ms))
            for plan, table in zip(plans, tables, strict=True)
        ]

    def decode(self, topic: str, partition: int, records: Sequence[Any], now: int) -> Decoded:
        """Decode one fetch: records have ``offset``, ``key`` and ``value``; ``now`` is the wall clock in ms."""
        origin = _Origin(topic, partition, records)
        letters: list[DeadLetter] = []
        offsets = np.fromiter((record.offset for record in records), np.int64, len(records))
        decode = self._layout.decode
        odd: list[int] = []
        try:
            points: list[Any] = [decode(record.value) for record in records]
            indices = np.arange(len(points))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            points, indices = self._one_by_one(origin, letters)
            offsets = offsets[indices]
            odd = [place for place, point in enumerate(points) if type(point) is _Odd]
        batches = {
            run.plan.owner: run.batch(points, odd, indices, offsets, now, origin, letters) for run in self._runs
        }
        return Decoded(batches, letters)

    def _one_by_one(self, origin: _Origin, letters: list[DeadLetter]) -> tuple[list[Any], Int64Array]:
        decode = self._layout.decode
        points: list[Any] = []
        indices: list[int] = []
        for index, record in enumerate(origin.records):
            if record.value is None:
                continue
            try:
                points.append(decode(record.value))
                indices.append(index)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                found = list(self._slow(index, origin, letters))
                points += found
                indices += [index] * len(found)
        return points, np.array(indices, np.int64)

    def _slow(self, index: int, origin: _Origin, letters: list[DeadLetter]) -> Iterator[Any]:
        value = origin.records[index].value
        if value[:1] == b"[":
            try:
                yield from self._layout.decode_many(value)
                return
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
        try:
            document = msgspec.json.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            detail = "the record is empty" if not value else str(error)
            letters.append(origin.letter(index, "malformed-json", detail))
            return
        for point in document if isinstance(document, list) else [document]:
            if isinstance(point, dict):
                yield _Odd(point)
            else:
                detail = f"a JSON object is expected, not {type(point).__name__}"
                letters.append(origin.letter(index, "not-an-object", detail))


class _RunDecoder:
    """One plan's part of the decoding."""

    def __init__(self, plan: Plan, table: EntityTable, layout: Layout, max_ahead_ms: int) -> None:
        self.plan = plan
        self._table = table
        self._max_ahead_ms = max_ahead_ms
        self._layout = layout
        self._time = layout.getters[plan.time]
        self._categories = [layout.getters[path] for path in plan.categories]
        self._filter = _Filter(plan.filter, layout) if plan.filter is not None else None
        self._inputs = [
            (entry, layout.getters[entry.path], None if entry.filter is None else _Filter(entry.filter, layout))
            for entry in plan.inputs
        ]

    def batch(
        self,
        points: Sequence[Any],
        odd: Sequence[int],
        indices: Int64Array,
        offsets: Int64Array,
        now: int,
        origin: _Origin,
        letters: list[DeadLetter],
    ) -> Batch:
        """This plan's batch of the points; ``indices`` gives the record of each."""
        bad: dict[int, tuple[Reason, str]] = {}
        if odd:
            points = list(points)
            for place in odd:
                points[place] = self._read_odd(points[place].document, place, bad)
        times = self._times(points, bad)
        entities = self._entities(points, bad)
        values = {
            entry: self._values(points, entry, getter, condition, bad) for entry, getter, condition in self._inputs
        }
        ahead = times > now + self._max_ahead_ms
        for place in np.flatnonzero(ahead).tolist():
            detail = f"event time {times[place]} is {times[place] - now} ms ahead of the wall clock"
            bad.setdefault(place, ("time-too-far-ahead", detail))
        if bad:
            places = sorted(bad)
            letters += [origin.letter(int(indices[at]), *bad[at], self.plan.owner) for at in places]
            keep = np.ones(len(points), bool)
            keep[places] = False
            offsets, times, entities = offsets[keep], times[keep], entities[keep]
            values = {entry: array[keep] for entry, array in values.items()}
        return Batch(offsets, times, entities, values)

    def _read_odd(self, document: Mapping[str, Any], place: int, bad: dict[int, tuple[Reason, str]]) -> _Plain:
        plain = _Plain(self._layout, document)
        for path, read, reason in self._readings():
            value = find(document, path)
            try:
                plain.values[path] = None if value is MISSING else read(value)
            except Unusable as error:
                bad.setdefault(place, (reason, f"{path}: {error}"))
                plain.values[path] = None
        return plain

    def _readings(self) -> Iterator[tuple[str, Callable[[Any], Any], Reason]]:
        yield self.plan.time, to_time, "bad-time"
        for path in self.plan.categories:
            yield path, to_category, "bad-category-value"
        for entry, _, _ in self._inputs:
            if not entry.presence:
                yield entry.path, to_number, "bad-feature-value"

    def _get(self, points: Sequence[Any], path: str, getter: Callable[[Any], Any]) -> list[Any]:
        try:
            return list(map(getter, points))
        except AttributeError:
            return [point.get(path) if type(point) is _Plain else getter(point) for point in points]

    def _times(self, points: Sequence[Any], bad: dict[int, tuple[Reason, str]]) -> Int64Array:
        raw = self._get(points, self.plan.time, self._time)
        if set(map(type, raw)) <= {int}:
            try:
                times = np.array(raw, np.int64)
                if not len(times) or (np.abs(times) < 253_402_300_800_000).all():
                    return times
            except OverflowError:
                pass
        times = np.zeros(len(raw), np.int64)
        for place, value in enumerate(raw):
            try:
                if value is None:
                    bad.setdefault(place, ("missing-time", f"the record has no {self.plan.time}"))
                else:
                    times[place] = to_time(value)
            except Unusable as error:
                bad.setdefault(place, ("bad-time", f"{self.plan.time}: {error}"))
        return times

    def _entities(self, points: Sequence[Any], bad: dict[int, tuple[Reason, str]]) -> Int64Array:
        columns = [
            self._get(points, path, getter)
            for path, getter in zip(self.plan.categories, self._categories, strict=True)
        ]
        for path, column in zip(self.plan.categories, columns, strict=True):
            if self._layout.kinds[path] == "any":
                _convert(column, path, to_category, "bad-category-value", bad)
        codes = self._table.codes(columns) if columns else np.zeros(len(points), np.int64)
        if self._filter is not None:
            codes[~self._filter.matching(points)] = NO_ENTITY
        return codes

    def _values(
        self,
        points: Sequence[Any],
        entry: Input,
        getter: Callable[[Any], Any],
        condition: _Filter | None,
        bad: dict[int, tuple[Reason, str]],
    ) -> Float64Array:
        raw = self._get(points, entry.path, getter)
        if entry.presence:
            values = np.array([np.nan if value is None else 1.0 for value in raw])
        else:
            if self._layout.kinds[entry.path] == "any":
                _convert(raw, entry.path, to_number, "bad-feature-value", bad)
            values = np.array(raw, np.float64)
            for place in np.flatnonzero(np.isinf(values)).tolist():
                bad.setdefault(place, ("bad-feature-value", f"{entry.path}: the number is too large"))
        if condition is not None:
            values[~condition.matching(points)] = np.nan
        return values


class _Plain:
    """An odd point, read for one plan: the values that it can use."""

    __slots__ = ("_layout", "document", "values")

    def __init__(self, layout: Layout, document: Mapping[str, Any]) -> None:
        self._layout = layout
        self.document = document
        self.values: dict[str, Any] = {}

    def get(self, path: str) -> Any:
        if path in self.values:
            return self.values[path]
        value = find(self.document, path)
        return None if value is MISSING else value


class _Filter:
    """A query over the few fields that it names."""

    def __init__(self, query: Query, layout: Layout) -> None:
        self._matches = compile_query(query)
        self._getters = {path: layout.getters[path] for path in query.fields()}

    def matching(self, points: Sequence[Any]) -> npt.NDArray[np.bool_]:
        """Which points match."""
        return np.fromiter((self._matches(self._document(point)) for point in points), bool, len(points))

    def _document(self, point: Any) -> Mapping[str, Any]:
        if type(point) is _Plain:
            return point.document
        values = ((path, getter(point)) for path, getter in self._getters.items())
        return {path: value for path, value in values if value is not None}


def _convert(
    values: list[Any],
    path: str,
    convert: Callable[[Any], Any],
    reason: Reason,
    bad: dict[int, tuple[Reason, str]],
) -> None:
    for place, value in enumerate(values):
        if value is not None:
            try:
                values[place] = convert(value)
            except Unusable as error:
                bad.setdefault(place, (reason, f"{path}: {error}"))
                values[place] = None
