from __future__ import annotations

import numpy as np

from streams.forest import ForestSpec
from streams.score.models import DetectorModels, Events, Scored

SPEC = ForestSpec(features=1, seed=3)


def models(windows: int = 50) -> DetectorModels:
    return DetectorModels("d", SPEC, checkpoint_windows=windows, capacity=2)


def events(entities: list[str], ends: list[int], values: list[float], offset: int = 0) -> Events:
    return Events(entities, np.array(ends), np.array(values)[:, None], np.full(len(entities), offset))


def series(count: int, start: int = 0, offset: int = 0) -> Events:
    ends = [1000 * (start + k + 1) for k in range(count)]
    return events(["a"] * count, ends, [10 + (start + k) % 3 for k in range(count)], offset)


def scores(scored: Scored) -> list[float]:
    return scored.steps.score.tolist()


def test_a_window_that_a_model_has_seen_changes_nothing() -> None:
    once, twice = models(), models()
    once.score(1, series(60), now=0)
    twice.score(1, series(60), now=0)
    again = twice.score(1, series(60), now=1)
    assert len(again.kept) == 0
    assert scores(twice.score(1, series(5, 60), now=2)) == scores(once.score(1, series(5, 60), now=2))


def test_a_later_run_may_bring_old_windows_again_and_an_earlier_run_nothing() -> None:
    held = models()
    held.score(7, series(40, start=100), now=0)
    assert len(held.score(8, series(10), now=0).kept) == 10
    assert held.seen("a") == 50
    assert len(held.score(7, series(5, start=500), now=0).kept) == 0


def test_models_grow_and_are_independent_of_each_other() -> None:
    held, alone = models(), models()
    both = [(entity, k) for k in range(40) for entity in ("a", "b", "c", "d", "e")]
    held.score(1, events([e for e, _ in both], [1000 * (k + 1) for _, k in both], [10 + k % 3 for _, k in both]), now=0)
    alone.score(1, series(40), now=0)
    assert len(held) == 5
    assert scores(held.score(1, series(3, 40), now=0)) == scores(alone.score(1, series(3, 40), now=0))


def test_a_model_goes_on_from_its_checkpoint_as_if_nothing_had_happened() -> None:
    held = models()
    held.score(4, series(70), now=5)
    (snapshot,) = held.checkpoint(held.dirty(), position=9, now=6)
    assert (snapshot.owner, snapshot.entity, snapshot.run, snapshot.last_end) == ("d", "a", 4, 70_000)
    restored = models()
    restored.load([snapshot])
    # The partials since the checkpoint come again, and some that it contains.
    after = restored.score(4, series(20, 60), now=7)
    assert after.kept.tolist() == list(range(10, 20))
    assert scores(after) == scores(held.score(4, series(10, 70), now=7))


def test_what_no_checkpoint_holds_must_be_read_again() -> None:
    held = models()
    assert held.safe_offset(100) == 100
    held.score(1, series(3, offset=40), now=0)
    held.score(1, series(3, 3, offset=60), now=0)
    assert held.safe_offset(100) == 40
    held.checkpoint(held.dirty(), position=100, now=0)
    assert held.safe_offset(100) == 100


def test_models_are_due_after_enough_windows_or_enough_time_and_not_all_at_once() -> None:
    held = models(windows=4)
    names = [f"e{k}" for k in range(8)]
    due: list[int] = []
    for window in range(4):
        held.score(1, events(names, [1000 * (window + 1)] * 8, [1.0] * 8), now=100)
        rows = held.due(100, interval_ms=1000)
        due.append(len(rows))
        held.checkpoint(rows, position=0, now=100)
    assert due == [2, 2, 2, 2]
    assert len(held.due(1_099, interval_ms=1000)) == 0
    assert len(held.due(1_100, interval_ms=1000)) == len(held.dirty()) == 6


def test_a_model_counts_as_saved_when_it_was_made_until_its_first_checkpoint() -> None:
    held = models()
    held.score(1, series(3), now=5)
    held.score(1, series(3, 3), now=7)
    assert held.checkpoint_at[:1].tolist() == [5]
    (snapshot,) = held.checkpoint(held.dirty(), position=9, now=8)
    assert held.checkpoint_at[:1].tolist() == [8]
    restored = models()
    restored.load([snapshot])
    assert restored.checkpoint_at[:1].tolist() == [7]
