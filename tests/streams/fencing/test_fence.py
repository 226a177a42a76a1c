"""The fence under pauses, rebalances, crashes and compaction: workers that fold one log of inputs and keep snapshots.

Each input adds one to what is counted for a name; a name that was away for more than ``LIFETIME`` inputs begins anew.
Every worker must say of every input what an undisturbed fold says, however late it learns that it lost the share.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.fencing.fence import (
    NO_EPOCH,
    Fold,
    Record,
    claim_key,
    claim_value,
    deleted,
    parse_key,
    record_key,
    written,
)

SHARE = "s"
NAMES = "ab"
LIFETIME = 12
LAG = 2
"""Steps of the clock for which nothing is compacted; ``RETENTION`` for which tombstones stay."""
RETENTION = 6


def test_a_share_sees_only_its_own_records() -> None:
    fold = Fold("s")
    assert not fold.add(0, claim_key("t", "x"), b"")
    assert not fold.add(1, record_key(0, "t", "a"), b"v")
    assert not fold.add(2, "nonsense", b"v")
    assert (fold.epoch, fold.held, fold.cleanup(3)) == (NO_EPOCH, {}, [])


def test_the_record_of_the_highest_epoch_wins_and_the_older_one_is_cleaned_up() -> None:
    fold = Fold("s")
    for offset, key in enumerate(["0|s|a", "claim|s|x", "1|s|a"]):
        fold.add(offset, key, str(offset).encode())
    assert fold.held["a"].value == b"2"
    assert fold.cleanup(3) == [("0|s|a", None), ("claim|s|x", None)]


def test_what_a_former_owner_writes_is_refused_and_erased() -> None:
    fold = Fold("s")
    log: list[Record] = [
        ("claim|s|x", b""),
        *written(0, "s", "a", b"v", None),
        ("claim|s|y", b""),
        ("0|s|a", b"stale"),
        ("0|s|b", b"stale"),
    ]
    for offset, (key, value) in enumerate(log):
        fold.add(offset, key, value)
    assert {name: held.value for name, held in fold.held.items()} == {"a": b"v"}
    assert fold.cleanup(2) == [("2|s|a", b"v"), ("0|s|a", None), ("0|s|b", None), ("claim|s|x", None)]


def test_a_stale_record_does_not_bring_back_what_was_deleted() -> None:
    fold = Fold("s")
    log = [("0|s|a", b"v"), ("claim|s|x", b""), *deleted(1, "s", "a", 0), ("0|s|a", b"stale")]
    for offset, (key, value) in enumerate(log):
        fold.add(offset, key, value)
    assert fold.held["a"].value is None
    assert ("0|s|a", None) in fold.cleanup(9)


# -- the machine ----------------------------------------------------------------------------------------------


class Logged(NamedTuple):
    offset: int
    time: int
    key: str
    value: bytes | None


class Log:
    """A partition of a compacted topic."""

    def __init__(self, lag: int) -> None:
        self.records: list[Logged] = []
        self.end = 0
        self.clock = 0
        self._lag = lag

    def append(self, key: str, value: bytes | None) -> int:
        self.records.append(Logged(self.end, self.clock, key, value))
        self.end += 1
        return self.end - 1

    def compact(self, share: float) -> None:
        """Compact so much of what is old enough: Kafka stops at the end of a segment, which may be anywhere."""
        young = next((at for at, each in enumerate(self.records) if each.time > self.clock - self._lag), self.end)
        cut = round(min(young, len(self.records)) * share)
        old, kept = self.records[:cut], self.records[cut:]
        latest = {each.key: each.offset for each in old}
        self.records = [
            each
            for each in old
            if latest[each.key] == each.offset and (each.value is not None or each.time > self.clock - RETENTION)
        ] + kept

    def fold(self, kind: type[Fold]) -> Fold:
        fold = kind(SHARE)
        for each in self.records:
            fold.add(each.offset, each.key, each.value)
        return fold


class Count(NamedTuple):
    """The state of a name: how many inputs, and the place of the last one."""

    inputs: int
    last: int

    def after(self, place: int) -> Count:
        return Count(1 if place - self.last > LIFETIME else self.inputs + 1, place)


UNSEEN = Count(0, -(10**6))


@dataclass(eq=False)
class Worker:
    """A worker that has, or believes to have, the share. Whatever it does it may do late."""

    committed: int
    generation: int
    epoch: int | None = None
    fold: Fold | None = None
    position: int = 0
    counts: dict[str, Count] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    dirty: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Count] = field(default_factory=dict)
    queue: list[Record] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """``group`` is the worker to which Kafka's group gave the share; the others in ``workers`` have not noticed yet."""

    KIND: ClassVar[type[Fold]] = Fold
    LAG: ClassVar[int] = LAG
    EPOCH_IN_KEY: ClassVar[bool] = True
    STORES_IN_TIME: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(self.LAG)
        self.inputs: list[str] = []
        self.expected: list[Count] = []
        self.committed = 0
        self.generation = 0
        self.group = Worker(0, 0)
        self.workers = [self.group]

    @initialize()
    def begin(self) -> None:
        self._settle()

    # -- what the world does

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    def produce(self, names: list[str]) -> None:
        for name in names:
            before = next((e for e, n in zip(self.expected[::-1], self.inputs[::-1], strict=True) if n == name), UNSEEN)
            self.expected.append(before.after(len(self.inputs)))
            self.inputs.append(name)

    @rule(name=st.sampled_from(NAMES))
    def other_names_only(self, name: str) -> None:
        """So that the other one's lifetime ends."""
        self.produce([name] * (LIFETIME + 1))

    @rule()
    def rebalance(self) -> None:
        self._regroup()
        self.workers = [*self.workers[-2:], self.group]

    @rule(which=st.integers(0, 2))
    def crash_or_notice(self, which: int) -> None:
        self._lost(self.workers[which % len(self.workers)])

    @rule()
    def time_passes(self) -> None:
        """Whoever has the share stores what has changed more often than Kafka may compact."""
        if self.STORES_IN_TIME:
            self._settle()
            self._process(self.group, len(self.inputs))
            self._snapshot(self.group)
            self._settle()
        self.log.clock += 1

    @rule(share=st.floats(0, 1))
    def compact(self, share: float) -> None:
        self.log.compact(share)

    # -- what a worker does, whether the share is still its own or not

    @rule(which=st.integers(0, 2))
    def claim(self, which: int) -> None:
        self._claim(self.workers[which % len(self.workers)])

    @rule(which=st.integers(0, 2))
    def restore(self, which: int) -> None:
        self._restore(self.workers[which % len(self.workers)])

    @rule(which=st.integers(0, 2), most=st.integers(1, 5))
    def process(self, which: int, most: int) -> None:
        self._process(self.workers[which % len(self.workers)], most)

    @rule(which=st.integers(0, 2))
    def snapshot(self, which: int) -> None:
        self._snapshot(self.workers[which % len(self.workers)])

    @rule(which=st.integers(0, 2), most=st.integers(1, 5))
    def deliver(self, which: int, most: int) -> None:
        self._deliver(self.workers[which % len(self.workers)], most)

    @rule(which=st.integers(0, 2))
    def confirm(self, which: int) -> None:
        self._confirm(self.workers[which % len(self.workers)])

    @rule(which=st.integers(0, 2), name=st.sampled_from(NAMES))
    def forget(self, which: int, name: str) -> None:
        worker = self.workers[which % len(self.workers)]
        count = worker.counts.get(name)
        if count is None or worker.queue or worker.sent or name in worker.dirty:
            return
        if worker.position - count.last > LIFETIME and self.committed > count.last:
            del worker.counts[name]
            self._queue(worker, name, None)

    @invariant()
    def the_end_of_the_log_decides(self) -> None:
        assert self.committed <= len(self.inputs)

    def teardown(self) -> None:
        self.rebalance()
        self._settle()
        self._process(self.group, len(self.inputs))
        for place, name in enumerate(self.inputs):
            if name not in self.inputs[place + 1 :] and len(self.inputs) - place <= LIFETIME:
                assert self.group.counts[name] == self.expected[place]

    # -- how

    def _settle(self) -> None:
        while True:
            worker = self.group
            self._claim(worker)
            self._restore(worker)
            while worker is self.group:
                self._deliver(worker, 10**6)
                self._confirm(worker)
                if not worker.queue:
                    return

    def _lost(self, worker: Worker) -> None:
        """The worker begins anew, with the share if the group still gives it that."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        if worker is self.group:
            self._regroup()
            self.workers.append(self.group)
        elif not self.workers:
            self.workers.append(self.group)

    def _regroup(self) -> None:
        self.generation += 1
        self.group = Worker(self.committed, self.generation)

    def _claim(self, worker: Worker) -> None:
        if worker.epoch is None:
            worker.epoch = self.log.append(claim_key(SHARE, str(self.log.end)), claim_value(worker.generation, "w"))

    def _restore(self, worker: Worker) -> None:
        if worker.epoch is None or worker.fold is not None:
            return
        worker.fold = self.log.fold(self.KIND)
        if worker.fold.epoch != worker.epoch:
            self._lost(worker)
            return
        worker.queue += worker.fold.cleanup(worker.epoch)
        for name, (epoch, value) in worker.fold.held.items():
            if value is not None:
                worker.epochs[name] = epoch
                worker.counts[name] = Count(*map(int, value.split()))
        worker.position = worker.committed

    def _process(self, worker: Worker, most: int) -> None:
        if worker.fold is None:
            return
        for place in range(worker.position, min(worker.position + most, len(self.inputs))):
            name = self.inputs[place]
            before = worker.counts.get(name, UNSEEN)
            if place > before.last:
                worker.counts[name] = before.after(place)
                worker.dirty.setdefault(name, place)
                assert worker.counts[name] == self.expected[place]
            worker.position = place + 1

    def _queue(self, worker: Worker, name: str, count: Count | None) -> None:
        assert worker.epoch is not None
        before = worker.epochs.get(name)
        if not self.EPOCH_IN_KEY:
            worker.queue.append((record_key(0, SHARE, name), None if count is None else b"%d %d" % count))
        elif count is None:
            worker.queue += deleted(worker.epoch, SHARE, name, before)
        else:
            worker.queue += written(worker.epoch, SHARE, name, b"%d %d" % count, before)
        worker.epochs[name] = worker.epoch

    def _snapshot(self, worker: Worker) -> None:
        for name in worker.dirty:
            if worker.sent.get(name) != worker.counts[name]:
                worker.sent[name] = worker.counts[name]
                self._queue(worker, name, worker.counts[name])

    def _deliver(self, worker: Worker, most: int) -> None:
        for key, value in worker.queue[:most]:
            self.log.append(key, value)
        del worker.queue[:most]

    def _confirm(self, worker: Worker) -> None:
        if worker.fold is None or worker.queue:
            return
        worker.dirty = {name: at for name, at in worker.dirty.items() if worker.sent.get(name) != worker.counts[name]}
        worker.sent = {name: count for name, count in worker.sent.items() if name in worker.dirty}
        if worker is self.group:
            self.committed = max(self.committed, min([worker.position, *worker.dirty.values()]))


TestFence = Machine.TestCase
TestFence.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


# -- it finds what it is made to find -------------------------------------------------------------------------


class ByLogOrder(Fold):
    """A reader that takes what was written last."""

    def add(self, offset: int, key: str, value: bytes | None) -> bool:
        parsed = parse_key(key)
        if parsed is not None and parsed.epoch != NO_EPOCH and value is not None:
            self.held.pop(parsed.name, None)
        return super().add(offset, key, value)


class LastClaim(Fold):
    """A reader for which the last claim counts, whatever generation it carries."""

    def add(self, offset: int, key: str, value: bytes | None) -> bool:
        self.generation = -1
        return super().add(offset, key, value)


WITHOUT: dict[str, dict[str, Any]] = {
    "a reader for which the last record wins": {"KIND": ByLogOrder},
    "the epoch in the key": {"EPOCH_IN_KEY": False},
    "the generation in the claim": {"KIND": LastClaim},
    "storing what has changed within the lag": {"STORES_IN_TIME": False},
    "the compaction lag": {"LAG": 0},
}


def walk(kind: type[Machine], seed: int) -> None:
    """One story of the machine, without Hypothesis' bookkeeping, which takes most of its time."""
    dice = random.Random(seed)
    machine = kind()
    machine.begin()
    steps: list[Callable[[], None]] = [
        lambda: machine.produce(dice.choices(NAMES, k=3)),
        lambda: machine.other_names_only(dice.choice(NAMES)),
        machine.rebalance,
        machine.time_passes,
        lambda: machine.compact(dice.choice([1.0, dice.random()])),
        lambda: machine.crash_or_notice(dice.randrange(3)),
        lambda: machine.claim(dice.randrange(3)),
        lambda: machine.restore(dice.randrange(3)),
        lambda: machine.process(dice.randrange(3), dice.randint(1, 5)),
        lambda: machine.snapshot(dice.randrange(3)),
        lambda: machine.deliver(dice.randrange(3), dice.randint(1, 5)),
        lambda: machine.confirm(dice.randrange(3)),
        lambda: machine.forget(dice.randrange(3), dice.choice(NAMES)),
    ]
    for _ in range(80):
        dice.choices(steps, (3, 0.3, 1, 2, 2, 0.5, 3, 4, 3, 4, 4, 3, 2))[0]()
    machine.teardown()


def test_a_thousand_stories_end_well() -> None:
    for seed in range(1000):
        walk(Machine, seed)


@pytest.mark.parametrize("protection", WITHOUT)
def test_without_a_protection_a_wrong_result_is_found(protection: str) -> None:
    kind = type("Unprotected", (Machine,), WITHOUT[protection])

    def goes_wrong(seed: int) -> bool:
        try:
            walk(kind, seed)
        except (AssertionError, KeyError):
            return True
        return False

    assert any(goes_wrong(seed) for seed in range(20_000))
