from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.checkpoint import ModelCheckpoint
from streams.forest import ForestSpec
from streams.score.models import DetectorModels, Events, Scored, least_recently_used

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
    (snapshot,) = checkpoint(held, now=6)
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
    held.snapshot(held.dirty(), now=0)
    # It is under way.
    assert held.safe_offset(100) == 40
    held.confirm()
    assert held.safe_offset(100) == 100


def test_a_snapshot_that_did_not_arrive_leaves_its_models_as_dirty_as_they_were() -> None:
    held = models()
    held.score(1, series(3, offset=40), now=0)
    held.snapshot(held.dirty(), now=0)
    held.score(1, series(3, 3, offset=60), now=0)
    held.abandon()
    assert held.safe_offset(100) == 40
    assert held.due(0, interval_ms=1000).tolist() == held.dirty().tolist() == [0]


def test_what_changes_while_a_snapshot_is_under_way_must_be_read_again() -> None:
    held = models()
    held.score(1, series(3, offset=40), now=0)
    held.snapshot(held.dirty(), now=0)
    held.score(1, series(3, 3, offset=60), now=0)
    held.evict(held.rows())
    assert len(held) == 1
    held.confirm()
    assert held.safe_offset(100) == 60
    held.evict(held.rows())
    assert len(held) == 1


def test_models_are_due_after_enough_windows_or_enough_time_and_not_all_at_once() -> None:
    held = models(windows=4)
    names = [f"e{k}" for k in range(8)]
    due: list[int] = []
    for window in range(4):
        held.score(1, events(names, [1000 * (window + 1)] * 8, [1.0] * 8), now=100)
        rows = held.due(100, interval_ms=1000)
        due.append(len(rows))
        held.snapshot(rows, now=100)
        held.confirm()
    assert due == [2, 2, 2, 2]
    assert len(held.due(1_099, interval_ms=1000)) == 0
    assert len(held.due(1_100, interval_ms=1000)) == len(held.dirty()) == 6


def test_a_model_counts_as_saved_when_it_was_made_until_its_first_checkpoint() -> None:
    held = models()
    held.score(1, series(3), now=5)
    held.score(1, series(3, 3), now=7)
    assert held.checkpoint_at[:1].tolist() == [5]
    (snapshot,) = checkpoint(held, now=8)
    assert held.checkpoint_at[:1].tolist() == [8]
    restored = models()
    restored.load([snapshot])
    assert restored.checkpoint_at[:1].tolist() == [7]


# -- models out of memory -------------------------------------------------------------------------------------

NAMES = "abcdef"
WINDOWS = st.lists(st.tuples(st.sets(st.sampled_from(NAMES), min_size=1), st.sets(st.sampled_from(NAMES))), max_size=90)


def window(number: int, hosts: Iterable[str], dice: random.Random) -> Events:
    """A window of some of the hosts."""
    hosts = sorted(hosts)
    return events(
        hosts, [1000 * (number + 1)] * len(hosts), [dice.gauss(10, 1) + 30 * (dice.random() < 0.05) for _ in hosts]
    )


def checkpoint(held: DetectorModels, now: int = 0) -> list[ModelCheckpoint]:
    """A checkpoint of all that has changed."""
    snapshots = held.snapshot(held.dirty(), now)
    held.confirm()
    return snapshots


def evict(held: DetectorModels, hosts: Iterable[str]) -> None:
    """Take these out of memory, if they are there, as the worker does."""
    rows = np.array([row for row, host in held.rows_of(99) if host in hosts], np.int64)
    held.snapshot(np.intersect1d(held.dirty(), rows), now=0)
    held.confirm()
    held.evict(rows)


@given(WINDOWS, st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_a_model_that_was_out_of_memory_goes_on_as_if_it_never_was(
    story: list[tuple[set[str], set[str]]], seed: int
) -> None:
    held, undisturbed = models(), models()
    for number, (hosts, idle) in enumerate(story):
        run = 1 + number // 50  # a restart in the middle
        wanted = undisturbed.score(run, window(number, hosts, random.Random(seed + number)), now=number)
        got = held.score(run, window(number, hosts, random.Random(seed + number)), now=number)
        # A repeat of a model that is out of memory is a repeat.
        again = held.score(run, window(number, hosts, random.Random(seed + number)), now=number)
        assert not len(again.kept)
        assert got.kept.tolist() == wanted.kept.tolist()
        for name in ("score", "threshold", "grade", "confidence"):
            assert getattr(got.steps, name).tolist() == getattr(wanted.steps, name).tolist()
        evict(held, idle)
        assert (held.total, sorted(held.everyone())) == (len(undisturbed), sorted(undisturbed.entities))
        assert not set(held.entities) & idle
        assert held.most_rows_seen() == undisturbed.most_rows_seen()
    for host in sorted(undisturbed.entities):
        assert held.seen(host) == undisturbed.seen(host)

    def state(each: DetectorModels) -> dict[str, bytes]:
        return {snapshot.entity: snapshot.state for snapshot in each.snapshot(each.rows(), now=0)}

    assert state(held) == state(undisturbed)


def test_rows_are_used_again() -> None:
    held = models()
    for number in range(50):
        held.score(1, window(0, [f"host-{number}"], random.Random(number)), now=number)
        evict(held, [f"host-{number}"])
    assert (len(held), held.total, held.rows().tolist()) == (0, 50, [])
    held.score(1, window(0, ["new"], random.Random(1)), now=50)
    assert held.rows().tolist() == [0]


def test_only_the_last_used_of_many_are_read_back_into_memory_and_none_of_another_structure() -> None:
    held, other = models(), DetectorModels("d", ForestSpec(features=1, seed=4), checkpoint_windows=50)
    for number, host in enumerate(NAMES):
        held.score(1, window(0, [host], random.Random(number)), now=number)
    other.score(1, window(0, ["of another seed"], random.Random(1)), now=99)
    snapshots = [*checkpoint(held), *checkpoint(other)]
    restored = models()
    assert restored.load(snapshots, most=2) == ["of another seed"]
    assert sorted(restored.entities) == ["e", "f"]
    assert sorted(restored.everyone()) == sorted(NAMES)
    assert restored.seen("a") == 1


def test_the_least_recently_used_of_all_detectors_leave_memory() -> None:
    first, second = models(), models()
    first.score(1, window(0, "abc", random.Random(1)), now=5)
    second.score(1, window(0, "de", random.Random(1)), now=3)
    first.score(1, window(1, "a", random.Random(1)), now=9)
    assert [rows.tolist() for rows in least_recently_used([first, second], 5)] == [[], []]
    assert [rows.tolist() for rows in least_recently_used([first, second], 3)] == [[], [0, 1]]
    assert [rows.tolist() for rows in least_recently_used([first, second], 1)] == [[1, 2], [0, 1]]


# -- what is forgotten ----------------------------------------------------------------------------------------


def test_models_of_another_definition_begin_anew() -> None:
    def defined(definition: str) -> DetectorModels:
        return DetectorModels("d", ForestSpec(features=1, seed=3), checkpoint_windows=50, definition=definition)

    held = defined("avg of cpu")
    held.score(1, series(5), now=0)
    snapshots = checkpoint(held)
    renamed, changed = defined("avg of cpu"), defined("max of cpu")
    assert (renamed.load(snapshots), renamed.seen("a")) == ([], 5)
    assert (changed.load(snapshots), changed.seen("a")) == (["a"], 0)


DAYS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 8)), min_size=1, max_size=30)


@given(DAYS, st.lists(st.booleans(), min_size=30, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
@settings(max_examples=50, deadline=None)
def test_an_entity_that_was_away_for_too_long_begins_anew_whenever_it_is_forgotten(
    story: list[tuple[str, int]], forget: list[bool], out: list[bool]
) -> None:
    lifetime = 10_000

    def mortal() -> DetectorModels:
        return DetectorModels("d", ForestSpec(features=1, seed=3), checkpoint_windows=50, lifetime_ms=lifetime)

    plain, tidy = mortal(), mortal()
    last: dict[str, int] = {}
    seen: dict[str, int] = {}
    end = 0
    for (host, gap), forgets, evicts in zip(story, forget, out, strict=False):
        end += gap * 1000
        for held in (plain, tidy):
            held.score(1, events([host], [end], [1.0]), now=0)
        seen[host] = 1 if end - last.get(host, end) > lifetime else seen.get(host, 0) + 1
        last[host] = end
        assert plain.seen(host) == tidy.seen(host) == seen[host]
        if evicts:
            evict(tidy, "abc")
        if forgets:
            gone = tidy.expire(end)
            assert set(gone) == {name for name in gone if end - last[name] > lifetime}
            assert set(tidy.everyone()) == {name for name in last if name in tidy.everyone()}
            assert all(end - last[name] <= lifetime for name in tidy.everyone())
