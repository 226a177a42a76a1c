from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partial import NO_WINDOW, Partial, WindowPart
from streams.features.pieces import cut_partial
from streams.score.merge import FinalWindow, RunMerge
from tests.schemas.documents import feature
from tests.streams.ingest.plans import plan

COLUMNS = plan(feature("f", "avg", "v")).columns
SOURCES = [("m", 0), ("m", 1), ("m", 2)]


def part(end: int, **sums: float) -> WindowPart:
    """A window in which each entity has one record of this value."""
    entities = list(sums)
    columns = [COLUMNS[0].to_bytes(np.array(list(sums.values()))), COLUMNS[1].to_bytes(np.ones(len(entities)))]
    return WindowPart(end, entities, columns)


def said(
    source: tuple[str, int],
    closed_until: int,
    *windows: WindowPart,
    idle: bool = False,
    caught_up: bool = False,
    epoch: int = 0,
) -> Partial:
    return Partial(
        owner="d",
        run=1,
        topic=source[0],
        partition=source[1],
        closed_until=closed_until,
        idle=idle,
        caught_up=caught_up,
        epoch=epoch,
        finished=False,
        late=0,
        records=0,
        windows=list(windows),
    )


def sums(windows: list[FinalWindow]) -> list[tuple[int, dict[str, float]]]:
    return [(window.end, dict(zip(window.entities, window.columns[0].tolist(), strict=True))) for window in windows]


def test_a_window_is_final_when_every_source_has_closed_it() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:2])
    merge.add(said(SOURCES[0], 2000, part(1000, a=1.0, b=5.0), part(2000, a=2.0)), 0)
    assert merge.take() == []
    merge.add(said(SOURCES[1], 1000, part(1000, a=10.0)), 1)
    assert sums(merge.take()) == [(1000, {"a": 11.0, "b": 5.0})]
    merge.add(said(SOURCES[1], 5000), 2)
    assert sums(merge.take()) == [(2000, {"a": 2.0})]
    assert merge.scored_until == 2000


def test_a_source_that_never_said_a_word_holds_everything_back_until_it_is_idle() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:2])
    merge.add(said(SOURCES[0], 9000, part(1000, a=1.0)), 0)
    assert merge.take() == []
    assert merge.first_offset == 0
    merge.add(said(SOURCES[1], NO_WINDOW, idle=True), 1)
    assert sums(merge.take()) == [(1000, {"a": 1.0})]
    assert merge.first_offset is None


def test_a_topic_that_is_gone_holds_nobody_back() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:2])
    merge.add(said(SOURCES[0], 1000, part(1000, a=1.0)), 0)
    merge.expect(SOURCES[:1])
    assert sums(merge.take()) == [(1000, {"a": 1.0})]


def test_what_a_source_says_again_counts_once_and_the_first_word_counts() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:2])
    merge.add(said(SOURCES[0], 1000, part(1000, a=1.0)), 0)
    merge.add(said(SOURCES[0], 2000, part(1000, a=99.0, late=1.0), part(2000, a=2.0)), 1)
    merge.add(said(SOURCES[1], 2000), 2)
    assert sums(merge.take()) == [(1000, {"a": 1.0}), (2000, {"a": 2.0})]


def test_a_source_that_wakes_up_with_windows_that_are_final_is_late() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:2])
    merge.add(said(SOURCES[1], NO_WINDOW, idle=True), 0)
    merge.add(said(SOURCES[0], 5000, part(5000, a=1.0)), 1)
    merge.take()
    merge.add(said(SOURCES[1], 6000, part(3000, b=1.0), part(6000, b=2.0)), 2)
    assert merge.late == {SOURCES[1]: 1}
    assert merge.take() == []
    merge.add(said(SOURCES[0], 6000), 3)
    assert sums(merge.take()) == [(6000, {"b": 2.0})]


def test_a_window_in_pieces_is_final_with_its_last_one() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:1])
    first, second = cut_partial(said(SOURCES[0], 1000, part(1000, a=1.0, b=2.0)), COLUMNS, 20)
    merge.add(first, 0)
    assert merge.take() == []
    merge.add(second, 1)
    assert sums(merge.take()) == [(1000, {"a": 1.0, "b": 2.0})]


def test_pieces_of_a_source_that_was_cut_off_are_said_anew() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:1])
    pieces = list(cut_partial(said(SOURCES[0], 1000, part(1000, a=1.0, b=2.0, c=3.0)), COLUMNS, 20))
    assert len(pieces) == 3
    # Cut off after two; what comes then holds another record more.
    anew = list(cut_partial(said(SOURCES[0], 1000, part(1000, a=1.0, b=2.0, c=4.0)), COLUMNS, 20))
    for offset, partial in enumerate([*pieces[:2], *anew]):
        merge.add(partial, offset)
    # And a repeat of the old ones, after the window was closed, changes nothing.
    for partial in pieces:
        merge.add(partial, 9)
    assert sums(merge.take()) == [(1000, {"a": 1.0, "b": 2.0, "c": 4.0})]


values = st.floats(-1e6, 1e6, allow_nan=False)
streams = st.lists(
    st.lists(st.dictionaries(st.sampled_from("abcd"), values, max_size=4), min_size=1, max_size=5),
    min_size=3,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(streams, st.data())
def test_whichever_source_is_heard_first_and_whatever_is_repeated_the_windows_are_the_same(
    contents: list[list[dict[str, float]]], data: st.DataObject
) -> None:
    words = [
        [
            said(source, (k + 1) * 1000, *([part((k + 1) * 1000, **entities)] if entities else []))
            for k, entities in enumerate(windows)
        ]
        for source, windows in zip(SOURCES, contents, strict=True)
    ]
    last = min(len(windows) for windows in contents) * 1000

    def run(order: list[int], repeats: bool) -> list[tuple[int, dict[str, float]]]:
        merge = RunMerge(COLUMNS, SOURCES)
        found, heard = [], [0, 0, 0]
        for offset, source in enumerate(order):
            if heard[source] < len(words[source]):
                merge.add(words[source][heard[source]], offset)
                heard[source] += 1
                if repeats and heard[source] > 1:
                    merge.add(words[source][heard[source] - 2], offset)
            found += sums(merge.take())
        return [window for window in found if window[0] <= last]

    in_turn = [source for k in range(5) for source in range(3)]
    shuffled = data.draw(st.permutations(in_turn))
    assert run(shuffled, repeats=True) == run(in_turn, repeats=False)


def test_the_former_owner_of_a_source_changes_nothing() -> None:
    merge = RunMerge(COLUMNS, SOURCES[:1])
    assert merge.add(said(SOURCES[0], 1000, part(1000, a=1.0), epoch=5), 0)
    assert not merge.add(said(SOURCES[0], 9000, part(2000, a=99.0), epoch=4), 1)
    assert merge.add(said(SOURCES[0], 2000, part(2000, a=2.0), epoch=5), 2)
    assert sums(merge.take()) == [(1000, {"a": 1.0}), (2000, {"a": 2.0})]


def test_a_source_that_is_read_to_its_end_and_far_behind_is_named_and_not_waited_for() -> None:
    merge = RunMerge(COLUMNS, SOURCES, trailing_limit_ms=10_000)
    merge.add(said(SOURCES[0], 20_000, part(20_000, a=1.0)), 0)
    merge.add(said(SOURCES[1], 21_000), 1)
    merge.add(said(SOURCES[2], 5_000), 2)
    # It may have records under way.
    assert (merge.watermark, merge.trailing) == (5_000, [])
    merge.add(said(SOURCES[2], 6_000, caught_up=True), 3)
    assert (merge.watermark, merge.trailing) == (20_000, [SOURCES[2]])
    merge.add(said(SOURCES[2], 7_000, part(7_000, a=1.0, b=1.0), caught_up=True), 4)
    assert merge.late == {SOURCES[2]: 2}
    merge.add(said(SOURCES[2], 20_000, caught_up=True), 5)
    assert merge.trailing == []


def test_a_source_whose_first_records_close_nothing_yet_is_not_behind() -> None:
    merge = RunMerge(COLUMNS, SOURCES, trailing_limit_ms=10_000)
    merge.add(said(SOURCES[0], 20_000, part(20_000, a=1.0)), 0)
    merge.add(said(SOURCES[1], 21_000), 1)
    merge.add(said(SOURCES[2], NO_WINDOW, caught_up=True), 2)
    assert (merge.watermark, merge.trailing) == (NO_WINDOW, [])
    merge.add(said(SOURCES[2], 20_000, part(20_000, a=1.0), caught_up=True), 3)
    assert (merge.watermark, merge.late.total()) == (20_000, 0)


def test_a_single_source_that_is_ahead_leaves_nobody_behind() -> None:
    merge = RunMerge(COLUMNS, SOURCES, trailing_limit_ms=10_000)
    for at, (source, until) in enumerate(zip(SOURCES, (1_000, 2_000, 90_000), strict=True)):
        merge.add(said(source, until, caught_up=True), at)
    assert (merge.watermark, merge.trailing) == (1_000, [])


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["", "idle", "caught up"]), st.integers(0, 2)),
    max_size=40,
)


@given(STEPS, st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
@settings(max_examples=200, deadline=None)
def test_what_is_final_and_what_is_late_does_not_depend_on_when_windows_are_taken(
    steps: list[tuple[int, int, str, int]], one: set[int], other: set[int]
) -> None:
    def outcome(takes: set[int]) -> tuple[list[tuple[int, dict[str, float]]], dict[tuple[str, int], int]]:
        merge = RunMerge(COLUMNS, SOURCES, trailing_limit_ms=3_000)
        until = dict.fromkeys(SOURCES, 0)
        taken: list[tuple[int, dict[str, float]]] = []
        for at, (number, ahead, state, epoch) in enumerate(steps):
            source = SOURCES[number]
            end = until[source] + 1000 * ahead
            until[source] = end
            windows = [part(end, a=float(at))] if ahead else []
            merge.add(
                said(source, end, *windows, idle=state == "idle", caught_up=state == "caught up", epoch=epoch), at
            )
            if at in takes:
                taken += sums(merge.take())
        return taken + sums(merge.take()), dict(merge.late)

    assert outcome(one) == outcome(other)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_the_watermark_is_that_of_comparing_all_sources_after_each_record(
    steps: list[tuple[int, int, str, int]],
) -> None:
    merge, fresh = (RunMerge(COLUMNS, SOURCES, trailing_limit_ms=3_000) for _ in range(2))
    until = dict.fromkeys(SOURCES, 0)
    for at, (number, ahead, state, _) in enumerate(steps):
        source = SOURCES[number]
        until[source] += 1000 * ahead
        partial = said(source, until[source], idle=state == "idle", caught_up=state == "caught up")
        for each in (merge, fresh):
            each.add(partial, at)
        fresh._advance()
        assert (merge.watermark, merge.trailing) == (fresh.watermark, fresh.trailing)
