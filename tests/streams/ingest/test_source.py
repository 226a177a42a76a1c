from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.checkpoint import SourceCheckpoint, decode_source, encode
from schemas.partial import NO_WINDOW, Partial, decode_partial, encode_partial
from streams.fencing.share import Share
from streams.ingest.checkpoint import assemble
from streams.ingest.quiet import QuietClock
from streams.ingest.source import RunSource, Source
from streams.ingest.store import records_of
from streams.ingest.windows import Closed, RunWindows
from streams.score.merge import RunMerge
from tests.streams.ingest.plans import ALL_KINDS, decoder, plan, records
from tests.streams.ingest.test_windows import readable

POINTS = st.fixed_dictionaries({"t": st.integers(0, 5_000), "host": st.text(max_size=3), "v": st.floats(-1e9, 1e9)})


def said(run: RunSource, closed: list[Closed], *, idle: bool, partition: int = 3) -> list[Partial]:
    """What a run says, as single records."""
    source = Source("m", partition, 0, Share(f"m/{partition}", "", 7, {}))
    return [partial for _, partial in run.partials(source, closed, idle=idle, max_bytes=10**6)]


def source_of(points: list[dict[str, Any]], *owners: str) -> Source:
    """A source whose runs have read the points, with windows that are open for long."""
    source = Source("m", 3, len(points), Share("m/3", "", 0, {}))
    for owner in owners:
        one = plan(*ALL_KINDS, owner=owner, window_delay={"period": {"interval": 1, "unit": "Minutes"}})
        reader = decoder(one)
        windows = RunWindows(one, reader.tables[0], 0)
        windows.fold(reader.decode("m", 3, records(points)).batches[owner], len(points))
        clock = QuietClock(0, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)
        source.runs[owner] = RunSource(windows, clock, joined=True)
    return source


@given(st.lists(POINTS, max_size=30), st.integers(1, 3_000), st.permutations(["d1", "d2", "d3"]))
def test_a_checkpoint_comes_back_whole_however_small_its_records(
    points: list[dict[str, Any]], max_bytes: int, owners: list[str]
) -> None:
    source = source_of(points, *owners)
    parts = [decode_source(encode(checkpoint)) for checkpoint in reversed(source.snapshot(max_bytes))]
    runs = assemble(parts)
    assert runs is not None
    assert [run.owner for run in runs] == owners
    for run in runs:
        windows = source.runs[run.owner].windows
        restored = RunWindows(windows.plan, decoder(windows.plan).tables[0], 0)
        restored.restore(run)
        assert readable(restored) == readable(windows)


def test_records_are_about_as_large_as_wanted() -> None:
    points = [{"t": number % 3000, "host": f"host-{number}", "v": 1.0} for number in range(2_000)]
    snapshot = source_of(points, "d1", "d2").snapshot(10_000)
    sizes = [len(encode(checkpoint)) for checkpoint in snapshot]
    assert max(sizes) < 15_000
    assert len(sizes) < 40


def test_slots_alternate_so_that_the_last_checkpoint_stays_whole() -> None:
    source = source_of([], "d")
    keys = [[key for key, _ in records_of(source.share, source.snapshot(1_000))] for _ in range(3)]
    assert keys == [["0|m/3|1/0"], ["0|m/3|0/0"], ["0|m/3|1/0"]]


def test_a_checkpoint_that_is_cut_off_or_mixed_is_none() -> None:
    points = [{"t": 0, "host": f"h{number}", "v": 1.0} for number in range(50)]
    parts = source_of(points, "d").snapshot(500)
    assert len(parts) > 2
    assert assemble(parts[:-1]) is None
    assert assemble([]) is None
    other = msgspec.structs.replace(parts[0], offset=parts[0].offset + 1)
    assert assemble([other, *parts[1:]]) is None
    assert assemble(parts) is not None


def test_a_source_without_runs_still_says_where_it_is() -> None:
    (checkpoint,) = Source("m", 3, 17, Share("m/3", "", 0, {})).snapshot(100)
    assert isinstance(checkpoint, SourceCheckpoint)
    assert (checkpoint.offset, assemble([checkpoint])) == (17, [])


@pytest.fixture
def run() -> RunSource:
    return source_of([{"t": time, "host": "a", "v": 1.0} for time in (0, 50_000, 100_000)], "d").runs["d"]


def test_what_closed_is_said_once_to_every_model_partition(run: RunSource) -> None:
    partials = said(run, run.windows.close(), idle=False)
    assert [partial.closed_until for partial in partials] == [40_000] * run.plan.partitions
    assert sum(len(partial.windows) for partial in partials) == 1
    mine = run.plan.model_partition("a")
    assert [target for target, partial in enumerate(partials) if partial.windows] == [mine]
    assert said(run, run.windows.close(), idle=False) == []


def test_idleness_is_news(run: RunSource) -> None:
    run.windows.close()
    said(run, [], idle=False)
    assert [partial.idle for partial in said(run, [], idle=True)] == [True] * run.plan.partitions
    assert said(run, [], idle=True) == []
    assert [partial.idle for partial in said(run, [], idle=False)] == [False] * run.plan.partitions


def test_a_new_owner_announces_its_epoch_and_then_says_nothing_without_news() -> None:
    run = source_of([], "d").runs["d"]
    assert [partial.epoch for partial in said(run, [], idle=False)] == [7] * run.plan.partitions
    assert said(run, run.windows.close(), idle=False) == []
    assert run.windows.closed_until == NO_WINDOW


@given(st.lists(POINTS, max_size=40), st.lists(st.integers(0, 2), min_size=40, max_size=40))
def test_the_scorer_finds_the_same_features_however_records_are_spread_over_sources(
    points: list[dict[str, Any]], where: list[int]
) -> None:
    one = plan(*ALL_KINDS)

    def features(sources: list[list[dict[str, Any]]]) -> dict[tuple[int, str], list[float]]:
        merge = RunMerge(one.columns, [("m", number) for number in range(len(sources))])
        for number, mine in enumerate(sources):
            run = source_of(mine, "d").runs["d"]
            for partial in said(run, run.windows.close_all(), idle=True, partition=number):
                merge.add(decode_partial(encode_partial(partial)), 0)
        return {
            (window.end, entity): values
            for window in merge.take()
            for entity, values in zip(window.entities, one.feature_values(window.columns).tolist(), strict=True)
        }

    spread = features(
        [[point for point, at in zip(points, where, strict=False) if at == number] for number in range(3)]
    )
    together = features([points])
    assert spread.keys() == together.keys()
    for key, values in together.items():
        assert spread[key] == pytest.approx(values, rel=1e-9, abs=1e-6)
