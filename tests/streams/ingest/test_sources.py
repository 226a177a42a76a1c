from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from schemas.state import Run
from streams.features.plan import Plan
from streams.fencing.fence import Fold, Held, Record, claim_key
from streams.fencing.share import Share
from streams.ingest.reports import SourceReports
from streams.ingest.source import Source
from streams.ingest.sources import Emission, Slice, Snapshot, Sources
from streams.kafka.extent import Extent
from streams.kafka.tp import TP
from streams.running import Running, forest_spec
from streams.settings import Settings
from tests.schemas.documents import feature, parsed
from tests.streams.ingest.plans import NOW

TP_3 = TP("m", 3)
START = NOW - 1_000_000


@dataclass(frozen=True)
class Live:
    """A record as a consumer gives it, written when it happened."""

    offset: int
    value: bytes
    timestamp: int
    key: bytes | None = None


def live(*seconds: float, start: int = 0, host: str = "a") -> list[Live]:
    """Records of one host at these seconds."""
    return [
        Live(offset, b'{"t":%d,"host":"%s","v":1}' % (START + second * 1000, host.encode()), int(START + second * 1000))
        for offset, second in enumerate(seconds, start)
    ]


def running(owner: str = "d", run: int = 1, delay: int | None = 0, **members: Any) -> Running:
    """A run that counts what each host sends in a second, on one partition."""
    detector = parsed(
        time_field="t",
        category_field=["host"],
        detection_interval={"period": {"interval": 1, "unit": "Seconds"}},
        feature_attributes=[feature("f", "sum", "v")],
        window_delay=... if delay is None else {"period": {"interval": delay, "unit": "Seconds"}},
    )
    plan = Plan.build(owner=owner, run=run, detector_id=owner, detector=detector, partitions=2, most_delay_ms=60_000)
    sources = Run(**{"id": run, "sources": {"m": {3: 0}}, **members})
    return Running(detector, sources, plan, forest_spec(owner, detector))


@dataclass
class Worker:
    """Sources in memory, with what they have emitted."""

    runs: list[Running] = field(default_factory=lambda: [running()])
    emitted: list[Emission] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = Sources(Settings(), lambda: self.runs)

    def take(
        self,
        *,
        stored: dict[str, Held] | None = None,
        epoch: int = 0,
        committed: int | None = None,
        low: int = 0,
        high: int = 0,
        topic_id: str = "one",
    ) -> Source:
        """Own the partition."""
        assert self.sources.leaving({TP_3: committed}) == []
        share = Share("m/3", "claim|m/3|x", epoch, stored or {})
        return self.sources.restore(TP_3, committed, share, Extent(low, high, topic_id), NOW)

    def fold(self, records: list[Live]) -> None:
        self.emitted.append(self.sources.fold(self.sources.held[TP_3], records, NOW))

    @property
    def sums(self) -> dict[tuple[int, str], float]:
        """What was emitted, by the second at which a window ends and host."""
        return {
            ((window.end - START) // 1000, host): float(value)
            for emission in self.emitted
            for _, partial in emission.partials
            for window in partial.windows
            for host, value in zip(window.entities, np.frombuffer(window.columns[0]), strict=True)
        }


def stored(*snapshots: Snapshot) -> dict[str, Held]:
    """What a share holds after these were written."""
    fold = Fold("m/3")
    for offset, (key, value) in enumerate(record for snapshot in snapshots for record in snapshot.records):
        fold.add(offset, key, value)
    return fold.held


def test_windows_come_out_as_records_come_in() -> None:
    worker = Worker()
    worker.take()
    worker.fold(live(0, 0.5, 1.2))
    worker.fold(live(1.5, 2.1, start=3))
    assert worker.sums == {(1, "a"): 2.0, (2, "a"): 2.0}


def test_a_restored_source_goes_on_where_its_checkpoint_was_taken() -> None:
    first, second = Worker(), Worker()
    source = first.take()
    first.fold(live(0, 0, 1.2))
    assert second.take(stored=stored(first.sources.give_up(source)), high=3).offset == 3
    second.fold(live(1.3, 2.1, start=3))
    assert second.sums == {(2, "a"): 2.0}


def test_a_source_that_was_given_up_meanwhile_emits_nothing_more() -> None:
    # Its run was catching up when a rebalance came, and a fetch of its own waited for the source.
    worker = Worker([])
    source = worker.take(committed=4, high=4)
    worker.runs.append(running())
    worker.sources.refresh(NOW)
    ((behind, run),) = worker.sources.behind()
    assert behind is source
    assert worker.sources.leaving({TP_3: 4}) == []
    assert worker.sources.leaving({TP_3: 5}) == worker.sources.leaving({}) == [source]
    worker.sources.give_up(source)
    assert list(worker.sources.behind()) == []
    assert not source.has(run)
    assert worker.sources.catch_up(source, run, Slice(live(0, 1.2, 2.4), 3), NOW) == Emission()
    assert worker.sources.fold(source, live(3.1, start=4), NOW) == Emission()
    assert worker.sources.confirm(worker.sources.snapshot(source)) is None


def test_a_run_that_catches_up_joins_where_its_source_is() -> None:
    worker = Worker([])
    source = worker.take(committed=4, high=4)
    worker.runs.append(running())
    worker.sources.refresh(NOW)
    ((_, run),) = worker.sources.behind()
    worker.emitted.append(worker.sources.catch_up(source, run, Slice(live(0, 1.2, 1.4), 3), NOW))
    assert not run.joined
    # No record lies at offset 3: the reader's position says that it was passed.
    worker.emitted.append(worker.sources.catch_up(source, run, Slice([], 4), NOW))
    assert run.joined
    worker.fold(live(2.2, start=4))
    assert worker.sums == {(1, "a"): 1.0, (2, "a"): 2.0}


def counts(worker: Worker) -> tuple[int, int, int]:
    """Records taken in, late ones, unread ones."""
    run = worker.sources.held[TP_3].runs["d"]
    return run.windows.records, run.windows.late, run.unread


def test_records_that_were_deleted_before_they_were_read_are_counted() -> None:
    worker = Worker()
    source = worker.take()
    worker.fold(live(0, 0.5))
    worker.sources.lose(source, 2, 9)
    worker.fold(live(0.7, 1.2, start=9))
    assert counts(worker) == (4, 0, 7)
    assert worker.sums == {(1, "a"): 3.0}
    snapshot, second = worker.sources.snapshot(source), Worker()
    assert second.take(stored=stored(snapshot), low=20, high=30).offset == 20
    second.fold(live(2.2, start=20))
    assert counts(second) == (5, 0, 16)


@pytest.mark.parametrize("high", [1, 50])
def test_a_topic_that_was_made_anew_while_the_worker_was_off_is_read_from_its_beginning(high: int) -> None:
    first, second = Worker(), Worker()
    source = first.take()
    first.fold(live(0, 1.2, 1.3))
    source = second.take(stored=stored(first.sources.snapshot(source)), high=high, topic_id="another")
    assert source.offset == 0
    second.fold(live(1.4, 2.5))
    assert second.sums == {(2, "a"): 3.0}
    run = source.runs["d"]
    assert (run.joined, run.note) == (True, "topic m was deleted and made anew; it is read from its beginning")
    # It is the topic of these offsets from now on.
    third = Worker()
    assert third.take(stored=stored(second.sources.snapshot(source)), high=50, topic_id="another").offset == 2


def test_a_topic_that_is_made_anew_goes_on_with_its_first_record_once() -> None:
    worker = Worker()
    source = worker.take()
    worker.fold(live(0, 1.2))
    for _ in range(2):
        worker.sources.made_anew(source, "another")
        worker.fold(live(1.5, 2.2))
    assert worker.sums == {(1, "a"): 1.0, (2, "a"): 2.0}
    assert worker.sources.confirm(worker.sources.snapshot(source)) == 2


def test_a_run_that_began_on_the_topic_before_reads_the_new_one_from_its_beginning() -> None:
    worker = Worker([running(sources={"m": {3: 40}}, topic_ids={"m": "one"})])
    assert worker.take(high=50, topic_id="another").offset == 0


def test_what_cannot_be_used_is_counted_for_those_it_concerns() -> None:
    worker = Worker([running("d"), running("e")])
    source = worker.take()
    worker.fold([*live(0), Live(1, b"{", START), Live(2, b"{}", START)])
    assert {owner: run.dead_letters.total() for owner, run in source.runs.items()} == {"d": 2, "e": 2}


def test_what_becomes_of_records_is_reported_when_there_is_news_and_not_too_often() -> None:
    worker, reports = Worker(), SourceReports("node")
    source = worker.take(epoch=4)
    held = worker.sources.held.values()
    assert reports.due(held, 0.0) == []
    worker.fold(live(5, 5, 1))
    worker.sources.lose(source, 3, 10)
    (report,) = reports.due(held, 0.1)
    assert (report.topic, report.partition, report.epoch) == ("m", 3, 4)
    assert (report.late, report.unread, report.dead_letters, report.note) == (1, 7, {}, "")
    worker.fold(live(1, start=10))
    assert reports.due(held, 10.0) == []
    assert [report.late for report in reports.due(held, 10.2)] == [2]
    assert reports.due(held, 99.0) == []
    # A new owner reports whatever there is: nobody knows what the one before has said.
    snapshot, second = worker.sources.snapshot(source), Worker()
    second.take(stored=stored(snapshot), epoch=12, high=20)
    (again,) = SourceReports("other").due(second.sources.held.values(), 0.0)
    assert (again.late, again.unread, again.epoch) == (2, 7, 12)


def test_a_source_has_caught_up_when_it_was_at_its_end_for_a_while_between_its_records() -> None:
    worker = Worker()
    source = worker.take()

    def said(at_end: bool, seconds: float) -> list[bool]:
        now = NOW + int(seconds * 1000)
        emission = worker.sources.tick(source, now, now if at_end else None)
        return [partial.caught_up for _, partial in emission.partials]

    assert said(True, 0) == [False, False]
    for step in range(1, 30):
        assert True not in said(step % 3 != 0, step)
    assert said(True, 30) == [True, True]
    assert said(False, 31) == []
    assert said(False, 33) == [False, False]


def test_a_stale_owner_changes_nothing_that_its_successor_restores() -> None:
    log: list[Record] = [(claim_key("m/3", "first"), b"")]
    first, second, third = Worker(), Worker(), Worker()

    def own(worker: Worker) -> Source:
        fold = Fold("m/3")
        for offset, (key, value) in enumerate(log):
            fold.add(offset, key, value)
        epoch = fold.epoch
        log.extend(fold.cleanup(epoch))
        return worker.take(stored=dict(fold.held), epoch=epoch, high=50)

    source = own(first)
    first.fold(live(0, 0.5, 1.2))
    log.extend(first.sources.snapshot(source).records)
    log.append((claim_key("m/3", "second"), b""))
    successor = own(second)
    second.fold(live(1.3, 2.2, 2.3, start=3))
    # The first one wakes up before and after the second one has written, and never gets beyond what it had.
    log.extend(first.sources.snapshot(source).records)
    log.extend(second.sources.snapshot(successor).records)
    first.fold(live(1.3, start=3))
    for _ in range(3):
        log.extend(first.sources.snapshot(source).records)
    log.append((claim_key("m/3", "third"), b""))
    assert own(third).offset == 6
    third.fold(live(3.1, start=6))
    assert third.sums == {(3, "a"): 2.0}
    epochs = [{partial.epoch for each in worker.emitted for _, partial in each.partials} for worker in (first, second)]
    assert epochs == [{source.share.epoch}, {successor.share.epoch}]
    assert source.share.epoch < successor.share.epoch


@pytest.mark.parametrize("at_end", [True, False])
def test_new_owners_of_model_partitions_hear_of_a_source_that_has_no_news(at_end: bool) -> None:
    # They begin after all that it has ever emitted: its windows would be held back for ever.
    worker = Worker()
    source = worker.take()
    late = NOW + 100_000

    def emitted(at_end: bool) -> list[tuple[int, bool]]:
        return [
            (target, part.idle) for target, part in worker.sources.tick(source, late, late if at_end else None).partials
        ]

    assert emitted(True) == [(0, True), (1, True)]
    assert emitted(at_end) == []
    worker.sources.announce()
    assert emitted(at_end) == [(0, True), (1, True)]
    assert emitted(at_end) == []


# -- time, and outages of Kafka -------------------------------------------------------------------------------


@dataclass
class LiveWorker(Worker):
    """A worker whose records arrive as they are made, and which looks at its source every 50 ms by Kafka's clock."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source = self.take()
        self.offset = 0

    def arrive(self, at: float, *seconds: float, host: str = "a") -> None:
        records = live(*seconds, start=self.offset, host=host)
        self.offset += len(records)
        self.emitted.append(self.sources.fold(self.source, records, int(START + at * 1000)))

    def quiet(self, begin: float, end: float, *, confirmed: bool = True) -> None:
        for step in range(round((end - begin) * 20)):
            now = int(START + begin * 1000 + step * 50)
            self.emitted.append(self.sources.tick(self.source, now, now if confirmed else None))

    def outage(self, began: float, ended: float) -> None:
        self.sources.hold(self.source, int(START + began * 1000), int(START + ended * 1000))

    @property
    def late(self) -> int:
        return self.source.runs["d"].windows.late


def test_a_live_source_that_falls_quiet_closes_its_window_soon() -> None:
    worker = LiveWorker()
    worker.arrive(0.4, 0.1, 0.2, 0.4)
    worker.quiet(0.4, 1.4)
    assert worker.sums == {}
    worker.quiet(1.4, 1.6)
    assert worker.sums == {(1, "a"): 3.0}


@pytest.mark.parametrize("length", [4, 20, 600])
def test_an_outage_of_kafka_makes_nothing_late_that_producers_held_back(length: int) -> None:
    worker = LiveWorker()
    worker.arrive(0.4, 0.1, 0.2, 0.4)
    worker.quiet(0.4, 0.5)
    worker.quiet(0.5, length, confirmed=False)
    worker.outage(0.5, length)
    # One producer is back at once, the other a little later; both send what they held back.
    seconds = [second + 0.5 for second in range(1, length)]
    worker.arrive(length + 0.1, *seconds, host="b")
    worker.quiet(length + 0.1, length + 2)
    worker.arrive(length + 2, *seconds)
    grace = min(15, length + 0.5)
    worker.quiet(length + 2, length + grace + 5)
    assert worker.late == 0
    ended = {end for end, _ in worker.sums}
    assert {(end, host) for end in range(2, length + 1) for host in "ab"} <= set(worker.sums), ended


def test_nothing_closes_before_the_grace_is_over_and_everything_afterwards() -> None:
    worker = LiveWorker()
    worker.arrive(0.4, 0.1, 0.2, 0.4)
    worker.outage(0.5, 20)
    worker.arrive(20.1, 20.0, 20.1, 20.1)
    worker.quiet(20.1, 34.9)
    assert worker.sums == {}
    worker.quiet(34.9, 35.1)
    assert (1, "a") in worker.sums


def test_who_was_paused_in_the_wait_after_an_outage_reads_before_it_closes_anything() -> None:
    worker = LiveWorker()
    worker.arrive(0.4, 0.1, 0.2, 0.4)
    worker.outage(0.5, 20)
    worker.arrive(20.1, 19.0, 19.5, 20.0, host="b")
    worker.quiet(36, 37, confirmed=False)
    worker.arrive(37.1, 0.5, 1.0, 1.5)
    assert worker.late == 0


def test_a_hold_outlasts_a_restart() -> None:
    first = LiveWorker()
    first.arrive(0.4, 0.1, 0.2, 0.4)
    first.outage(0.5, 20)
    second = Worker()
    source = second.take(stored=stored(first.sources.give_up(first.source)), high=3)
    assert source.runs["d"].windows.watermark.held_until == START + 35_000


@pytest.mark.parametrize("known", [True, False])
def test_which_records_of_a_replay_are_late_has_nothing_to_do_with_outages(known: bool) -> None:
    worker = LiveWorker()
    if known:
        worker.arrive(10_000, 0.1, 0.2, 0.4)
    worker.outage(10_001, 10_100)
    worker.arrive(10_101, *([] if known else [0.1, 0.2, 0.4]), 5.0, 0.9)
    assert worker.late == 1


def test_a_replay_is_not_closed_for_the_time_in_which_kafka_did_not_answer() -> None:
    worker = LiveWorker()
    worker.arrive(10_000, 0.1, 0.2, 0.4)
    worker.quiet(10_000, 10_001)
    worker.outage(10_001, 10_100)
    worker.quiet(10_100, 10_129.9)
    assert worker.sums == {}
    worker.quiet(10_129.9, 10_130.1)
    assert worker.sums == {(1, "a"): 3.0}


def test_a_producer_that_flushes_every_four_seconds_loses_nothing() -> None:
    # Between two flushes the source is quiet, and its watermark goes on by itself.
    worker = LiveWorker([running(delay=None)])
    for flush in range(4, 400, 4):
        worker.quiet(flush - 4, flush)
        worker.arrive(flush, *(flush - back for back in (3.9, 2.9, 1.9, 0.9)))
    assert worker.late == 0
    assert 4_000 <= worker.source.runs["d"].windows.watermark.allowed <= 5_000
    assert len(worker.sums) > 380
