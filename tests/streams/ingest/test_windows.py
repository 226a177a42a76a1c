from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.checkpoint import OpenWindow
from schemas.partial import NO_WINDOW
from streams.features.columns import Column
from streams.features.distinct import DistinctColumn
from streams.features.plan import Plan
from streams.ingest.entities import EntityTable
from streams.ingest.windows import Closed, RunWindows
from tests.schemas.documents import feature
from tests.streams.ingest.plain_watermark import PlainWatermark
from tests.streams.ingest.plans import (
    ALL_KINDS,
    MOST_DELAY,
    NUMBERS,
    SKETCHES,
    Record,
    decoder,
    plan,
    records,
    rows,
    split,
)

INTERVAL = 1_000
NEAR = st.integers(-1_500, 6_000)
TIMES = NEAR | NEAR.map(lambda time: time + 70_000) | NEAR.map(lambda time: time + 300_000)
WRITTEN = st.just(-1) | st.integers(1, 400_000)
VALUES = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0.1, 0.2, 0.3, 1e16, -0.0])
HOSTS = st.sampled_from(["a", "b", "c", None])
POINTS = st.fixed_dictionaries({"t": TIMES, "host": HOSTS, "v": VALUES, "written": WRITTEN})
STREAMS = st.lists(POINTS, max_size=40)
DELAYS = st.none() | st.integers(0, 2) | st.just(90)
LIMITS = st.integers(0, 3) | st.just(1000)
CUTS = st.sets(st.integers(1, 39)).map(sorted)


class Reader:
    """A run that reads batches as the agent does: decode, fold, close."""

    def __init__(self, plan: Plan, start: int = 0, limit: int = 1000) -> None:
        self.decoder = decoder(plan, limit=limit)
        self.windows = RunWindows(plan, self.decoder.tables[0], start)
        self.closed: list[Closed] = []

    def read(self, batch: Sequence[Record]) -> None:
        decoded = self.decoder.decode("m", 0, batch)
        assert not decoded.dead_letters
        self.windows.fold(decoded.batches["d"], batch[-1].offset + 1)
        self.closed += self.windows.close()

    @property
    def rows(self) -> dict[tuple[int, int, str], tuple[bytes, ...]]:
        return rows(self.windows.plan, self.closed)

    @property
    def state(self) -> Any:
        return readable(self.windows)


def readable(windows: RunWindows) -> Any:
    """A snapshot without the order of entities, which depends on who was seen first since the start."""
    snapshot = msgspec.to_builtins(windows.snapshot(), builtin_types=(bytes,))
    snapshot[-1] = {
        (window[0], entity): tuple(map(comparable, windows.plan.columns, row))
        for window in snapshot[-1]
        for entity, row in zip(window[1], split(windows.plan, window[2]), strict=True)
    }
    return snapshot


class Distinct:
    """A sketch of distinct values: equal to one of the same values. Its bytes depend on their order."""

    def __init__(self, column: DistinctColumn, data: bytes) -> None:
        self._column, self._data = column, data

    def _merged(self, *others: Distinct) -> float:
        parts = [(np.array([0]), self._column.from_bytes(each._data)) for each in (self, *others)]
        return float(self._column.estimates(self._column.merged(1, parts))[0])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Distinct):
            return NotImplemented
        known = (self._merged(), other._merged(), self._merged(other))
        return len(set(known)) == 1 or bool(np.isnan(known).all())

    __hash__ = None  # type: ignore[assignment]


def comparable(column: Column, data: bytes) -> object:
    """One row of a column, to be compared with another one."""
    return Distinct(column, data) if isinstance(column, DistinctColumn) else data


def cut(stream: Sequence[Record], cuts: Sequence[int]) -> list[Sequence[Record]]:
    edges = [0, *(each for each in cuts if each < len(stream)), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges) if start < stop]


def stamped(stream: Sequence[dict[str, Any]], start: int = 0) -> list[Record]:
    """The records of points, with their Kafka timestamps."""
    return [
        replace(record, timestamp=point["written"])
        for record, point in zip(records(stream, start), stream, strict=True)
    ]


class Naive:
    """The same windows with a dict, record by record."""

    def __init__(self, delay: int | None) -> None:
        self.watermark = PlainWatermark(delay, MOST_DELAY)
        self.late = self.records = 0
        self.open: dict[tuple[int, str], list[float]] = {}
        self.closed: dict[tuple[int, str], list[float]] = {}

    def read(self, point: dict[str, Any]) -> None:
        time, host, value = point["t"], point["host"], point["v"]
        self.watermark.take(time, point["written"])
        end = (time // INTERVAL + 1) * INTERVAL
        if host is not None and self.is_closed(end):
            self.late += 1
        elif host is not None:
            self.records += 1
            row = self.open.setdefault((end, host), [0.0, 0.0, float("inf"), float("-inf"), 0.0])
            if value is not None:
                row[:] = [row[0] + value, row[1] + 1, min(row[2], value), max(row[3], value), row[4] + 1]
        self.close()

    def is_closed(self, end: int) -> bool:
        return self.watermark.frontier is not None and end <= self.watermark.frontier

    def close(self) -> None:
        for key in [key for key in self.open if self.is_closed(key[0])]:
            self.closed[key] = self.open.pop(key)


def bits(row: Sequence[float]) -> tuple[bytes, ...]:
    # Whether min(0.0, -0.0) is one or the other is nobody's concern.
    return tuple(np.float64(value + 0.0).tobytes() for value in row)


def plain(found: dict[tuple[int, int, str], tuple[bytes, ...]]) -> dict[tuple[int, str], tuple[bytes, ...]]:
    return {(end, host): bits([np.frombuffer(data)[0] for data in row]) for (end, _, host), row in found.items()}


def seconds(delay: int | None) -> dict[str, Any]:
    """The detector's member for a delay of so many seconds; none for an automatic one."""
    return (
        {"window_delay": ...} if delay is None else {"window_delay": {"period": {"interval": delay, "unit": "Seconds"}}}
    )


@given(STREAMS, CUTS, DELAYS, LIMITS)
def test_windows_are_what_a_dict_finds_record_by_record(
    stream: list[dict[str, Any]], cuts: list[int], delay: int | None, limit: int
) -> None:
    naive = Naive(None if delay is None else delay * 1000)
    reader = Reader(plan(*NUMBERS, **seconds(delay)), limit=limit)
    for point in stream:
        naive.read(point)
    for batch in cut(stamped(stream), cuts):
        reader.read(batch)
    assert plain(reader.rows) == {key: bits(row) for key, row in naive.closed.items()}
    windows = reader.windows
    assert (windows.watermark.time, windows.late, windows.records) == (
        naive.watermark.time,
        naive.late,
        naive.records,
    )
    reader.closed = windows.close_all()
    assert plain(reader.rows) == {key: bits(row) for key, row in naive.open.items()}


WHEN = st.integers(-1_500, 400_000)
EVENTS = st.lists(
    POINTS.map(lambda point: ("record", point))
    | WHEN.map(lambda time: ("advance", time))
    | st.booleans().map(lambda held: ("hold", held)),
    max_size=40,
)


@given(EVENTS, DELAYS, st.lists(st.sampled_from(["same", "cut", "restart"]), min_size=40, max_size=40))
def test_time_that_goes_on_and_outages_between_the_records(
    events: list[tuple[str, Any]], delay: int | None, cuts: list[str]
) -> None:
    naive = Naive(None if delay is None else delay * 1000)
    reader = Reader(plan(*NUMBERS, **seconds(delay)))
    batch: list[Record] = []

    def read() -> None:
        if batch:
            reader.read(batch)
            batch.clear()

    for offset, ((kind, what), then) in enumerate(zip(events, cuts, strict=False)):
        if kind == "record":
            naive.read(what)
            batch += stamped([what], offset)
        elif kind == "advance":
            read()
            naive.watermark.advance(what)
            reader.windows.watermark.advance(what)
        else:
            read()
            naive.watermark.hold(what)
            if what:
                reader.windows.watermark.hold(0, 1_000)
            else:
                reader.windows.watermark.release(1_000)
        naive.close()
        if kind != "record" or then != "same":
            read()
            reader.closed += reader.windows.close()
        if then == "restart":
            again = Reader(reader.windows.plan)
            again.windows.restore(reader.windows.snapshot())
            again.closed = reader.closed
            reader = again
    read()
    reader.closed += reader.windows.close()
    assert plain(reader.rows) == {key: bits(row) for key, row in naive.closed.items()}
    assert (reader.windows.late, reader.windows.records) == (naive.late, naive.records)
    assert reader.windows.watermark.time == naive.watermark.time


@given(STREAMS, CUTS, LIMITS)
def test_the_cut_into_batches_changes_nothing(stream: list[dict[str, Any]], cuts: list[int], limit: int) -> None:
    whole, pieces = Reader(plan(*ALL_KINDS)), Reader(plan(*ALL_KINDS), limit=limit)
    for batch in cut(stamped(stream), []):
        whole.read(batch)
    for batch in cut(stamped(stream), cuts):
        pieces.read(batch)
    assert pieces.rows == whole.rows
    assert pieces.state == whole.state


@given(STREAMS, st.integers(0, 39), st.integers(0, 10), DELAYS)
def test_a_restored_run_goes_on_as_if_nothing_had_been(
    stream: list[dict[str, Any]], stop: int, again: int, delay: int | None
) -> None:
    undisturbed, killed, restored = (Reader(plan(*ALL_KINDS, **seconds(delay))) for _ in range(3))
    everything = stamped(stream)
    for batch in cut(everything, [stop]):
        undisturbed.read(batch)
    for batch in cut(everything[:stop], []):
        killed.read(batch)
    restored.windows.restore(killed.windows.snapshot())
    assert restored.state == killed.state
    restored.closed = killed.closed
    # Some records before the checkpoint are read again.
    for batch in cut(everything[max(0, stop - again) :], []):
        restored.read(batch)
    assert restored.rows == undisturbed.rows
    assert restored.state == undisturbed.state


def test_full_sketches_survive_cuts_and_restarts_too() -> None:
    dice = np.random.default_rng(1)
    points = [
        {"t": number // 10, "host": "a", "v": value} for number, value in enumerate(dice.lognormal(size=6000).tolist())
    ]
    stream = records([*points, {"t": 1000, "host": "b", "v": 1}])
    whole, pieces = Reader(plan(*SKETCHES)), Reader(plan(*SKETCHES))
    whole.read(stream)
    for batch in cut(stream, list(range(700, 6000, 700))):
        pieces.read(batch)
        again = Reader(plan(*SKETCHES))
        again.windows.restore(pieces.windows.snapshot())
        again.closed = pieces.closed
        pieces = again
    assert pieces.rows == whole.rows
    assert len(pieces.rows) == 1


def test_a_generation_of_entities_may_change_between_decoding_and_folding() -> None:
    one = plan()
    table = decoder(one, limit=0)
    first, second, *others = (
        table.decode("m", 0, records([{"t": 0, "host": host, "v": 1}], start=at)).batches["d"]
        for at, host in enumerate("abcdab")
    )
    windows = RunWindows(one, table.tables[0], 0)
    for offset, batch in enumerate([first, second, *others], 1):
        windows.fold(batch, offset)
    found = {key[2]: np.frombuffer(row[0])[0] for key, row in rows(one, windows.close_all()).items()}
    assert found == {"a": 2, "b": 2, "c": 1, "d": 1}


def read(stream: Sequence[tuple[int, str, float]], plan_: Plan | None = None) -> Reader:
    reader = Reader(plan_ or plan(feature("f", "sum", "v")))
    reader.read(records([{"t": time, "host": host, "v": value} for time, host, value in stream]))
    return reader


def test_a_window_closes_when_the_watermark_passes_its_end() -> None:
    assert read([(0, "a", 1), (500, "a", 1), (999, "a", 2)]).closed == []
    assert [window.end for window in read([(0, "a", 1), (500, "a", 1), (1000, "a", 2)]).closed] == [1000]


def test_windows_are_aligned_to_the_epoch_also_before_it() -> None:
    assert [window.end for window in read([(-1, "a", 1), (0, "a", 1), (2_000, "a", 1)]).closed] == [0, 1000]


def test_a_quiet_source_closes_windows_and_what_comes_then_is_late() -> None:
    reader = read([(100, "a", 1)])
    reader.windows.watermark.advance(1_000)
    assert [window.end for window in reader.windows.close()] == [1000]
    reader.read(records([{"t": 999, "host": "a", "v": 1}], start=1))
    assert (reader.windows.late, reader.windows.records) == (1, 1)


def test_closing_everything_keeps_the_watermark_and_makes_those_windows_late() -> None:
    reader = read([(100, "a", 1), (2_100, "a", 1), (2_100, "a", 1)])
    assert [window.end for window in reader.windows.close_all()] == [3000]
    assert (reader.windows.watermark.time, reader.windows.closed_until) == (2_100, 3_000)
    reader.read(records([{"t": 2_200, "host": "a", "v": 1}, {"t": 3_000, "host": "a", "v": 1}], start=3))
    assert (reader.windows.late, reader.windows.records) == (1, 4)
    assert reader.windows.close_all()[0].end == 4000
    assert reader.windows.close_all() == []


def test_without_a_record_nothing_closes() -> None:
    windows = Reader(plan()).windows
    assert windows.close() == windows.close_all() == []
    assert windows.closed_until == NO_WINDOW


def test_repeats_are_skipped_and_passed_offsets_are_remembered() -> None:
    reader = read([(0, "a", 1)])
    reader.read(records([{"t": 0, "host": "a", "v": 1}]))
    assert (reader.windows.records, reader.windows.offset) == (1, 1)
    reader.windows.skip_to(7)
    reader.read(records([{"t": 0, "host": "a", "v": 1}], start=6))
    assert (reader.windows.records, reader.windows.offset) == (1, 7)


def test_records_of_no_entity_move_the_watermark_only() -> None:
    reader = Reader(plan())
    reader.read(records([{"t": 0, "host": "a", "v": 1}, {"t": 5_000, "v": 1}, {"t": 5_000, "v": 1}]))
    assert [window.end for window in reader.closed] == [1000]
    assert reader.windows.records == 1


def test_a_record_with_several_values_is_one_record() -> None:
    reader = Reader(plan(feature("f", "sum", "v")))
    reader.read(records([{"t": t, "host": "a", "v": v} for t, v in ((0, [1, 2, 3]), (9_000, 1), (9_000, 1))]))
    reader.read(records([{"t": 0, "host": "a", "v": [1, 2]}], start=3))
    assert [np.frombuffer(row[0])[0] for row in reader.rows.values()] == [6.0]
    assert (reader.windows.records, reader.windows.late) == (3, 1)


def test_the_values_of_one_record_are_not_taken_for_three_records_ahead() -> None:
    reader = Reader(plan(feature("f", "sum", "v")))
    reader.read(records([{"t": 0, "host": "a", "v": 1}] * 3))
    reader.read(records([{"t": t, "host": "a", "v": [1, 2, 3]} for t in (100_000, 200_000)], start=3))
    assert reader.windows.watermark.time == 0


def test_a_record_with_several_values_is_one_record_also_when_others_of_its_fetch_do_not_belong() -> None:
    one = plan(feature("f", "sum", "v"))
    reader = Reader(one)
    points = [{"t": t, "host": "a", "v": v} for t, v in ((0, [1, 2, 3]), (500, 9), (7, [4, 5]))]
    batch = reader.decoder.decode("m", 0, records(points)).batches["d"]
    reader.windows.fold(batch.where(batch.times < 500), 3)
    assert (reader.windows.records, reader.windows.late) == (2, 0)
    reader.windows.watermark.advance(1_000)
    assert [np.frombuffer(row[0])[0] for row in rows(one, reader.windows.close()).values()] == [15.0]
    again = reader.decoder.decode("m", 0, records(points, start=3)).batches["d"]
    reader.windows.fold(again.where(again.times < 500), 6)
    assert (reader.windows.records, reader.windows.late) == (2, 2)


def test_a_detector_without_categories_has_one_entity() -> None:
    reader = Reader(plan(category_field=...))
    reader.read(records([{"t": 0, "v": 1}, {"t": 0, "v": 2}, {"t": 1_000}]))
    ((key, row),) = reader.rows.items()
    assert (key[2], np.frombuffer(row[0])[0]) == ("", 3.0)


@pytest.mark.parametrize("time", [-(2**35) * 1000 + 2000, 2**35 * 1000 - 2000])
def test_times_at_the_ends_of_what_can_be(time: int) -> None:
    one = plan()
    reader = Reader(one)
    decoded = reader.decoder.decode("m", 0, records([{"t": time, "host": h, "v": 1} for h in "ab"]))
    reader.windows.fold(decoded.batches["d"], 2)
    end = (time // 1000 + 1) * 1000
    assert {key[0] for key in rows(one, reader.windows.close_all())} == {end}


def test_restoring_knows_the_entities_by_name() -> None:
    first = read([(0, "a", 1), (0, "b", 2)])
    table = EntityTable(first.windows.plan)
    other = RunWindows(first.windows.plan, table, 0)
    other.restore(first.windows.snapshot())
    ((window,),) = [other.snapshot().windows]
    assert isinstance(window, OpenWindow)
    assert dict(zip(window.entities, np.frombuffer(window.columns[0]), strict=True)) == {"a": 1.0, "b": 2.0}
