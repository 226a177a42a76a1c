from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.partial import NO_WINDOW, Partial, WindowPart, decode_partial, encode_partial
from streams.features.pieces import cut, cut_partial, joined
from streams.score.merge import RunMerge
from tests.streams.ingest.plans import ALL_KINDS, plan
from tests.streams.ingest.test_source import said, source_of

PLAN = plan(*ALL_KINDS)
HOSTS = st.text("abc", max_size=2) | st.text("aé東𝄞", max_size=60)
POINTS = st.lists(
    st.fixed_dictionaries({"t": st.integers(0, 5_000), "host": HOSTS, "v": st.floats(-1e9, 1e9)}), max_size=40
)


def parts_of(points: list[dict[str, Any]]) -> list[Partial]:
    """What one source says of the points."""
    run = source_of(points, "d").runs["d"]
    return said(run, run.windows.close_all(), idle=True)


@given(POINTS, st.integers(1, 2_000))
def test_rows_come_back_in_their_order(points: list[dict[str, Any]], most: int) -> None:
    for partial in parts_of(points):
        for window in partial.windows:
            rows = (window.entities, window.columns)
            assert joined(list(cut(*rows, PLAN.columns, most))) == rows


@given(POINTS, st.integers(1, 2_000), st.data())
def test_the_scorer_finds_the_same_windows_however_small_the_records_and_wherever_a_source_was_cut_off(
    points: list[dict[str, Any]], most: int, data: st.DataObject
) -> None:
    whole, small = RunMerge(PLAN.columns, [("m", 3)]), RunMerge(PLAN.columns, [("m", 3)])
    for partial in parts_of(points):
        whole.add(partial, 0)
        pieces = [decode_partial(encode_partial(piece)) for piece in cut_partial(partial, PLAN.columns, most)]
        for piece in [*pieces[: data.draw(st.integers(0, len(pieces)))], *pieces]:
            small.add(piece, 0)

    def found(merge: RunMerge) -> list[Any]:
        return [
            (window.end, list(window.entities), PLAN.feature_values(window.columns).tobytes())
            for window in merge.take()
        ]

    assert found(small) == found(whole)


def near(record: Partial, most: int) -> bool:
    """Whether a record has the size that was asked for: a row more may be in it, and what frames it and its windows."""
    rows = [
        len(entity.encode()) + 3 + sum(int(sizes[row]) for sizes in columns)
        for window in record.windows
        for columns in [[column.sizes(data) for column, data in zip(PLAN.columns, window.columns, strict=True)]]
        for row, entity in enumerate(window.entities)
    ]
    frames = 100 + len(record.windows) * (20 + 5 * len(PLAN.columns))
    return len(encode_partial(record)) <= most + max(rows, default=0) + frames


@given(POINTS, st.integers(1, 2_000))
def test_records_are_near_the_size_asked_for(points: list[dict[str, Any]], most: int) -> None:
    for partial in parts_of(points):
        assert all(near(piece, most) for piece in cut_partial(partial, PLAN.columns, most))


def test_entities_count_by_their_bytes_not_their_characters() -> None:
    points = [{"t": 0, "host": "東京" * 50 + str(number), "v": 1.0} for number in range(300)]
    for partial in parts_of(points):
        assert all(near(piece, 20_000) for piece in cut_partial(partial, PLAN.columns, 20_000))


def test_only_the_last_record_closes_what_was_cut() -> None:
    (partial,) = (each for each in parts_of([{"t": 0, "host": "a", "v": 1.0}]) if each.windows)
    (window,) = partial.windows
    two = WindowPart(window.end, ["a", "b"], [column * 2 for column in window.columns])
    whole = msgspec.structs.replace(partial, windows=[two])
    first, last = cut_partial(whole, PLAN.columns, 30)
    assert (first.closed_until, first.idle, last.closed_until, last.idle) == (NO_WINDOW, False, window.end, True)
    assert [piece.windows[0].piece for piece in (first, last)] == [0, 1]
