from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import state as stored
from schemas.command import JobStop, SourceReport, Sources
from schemas.state import Ledger
from streams.coordinate.machine import REPORT_PAUSE_MS
from streams.coordinate.reports import SENTENCES, SOURCES_KEPT, folded, in_one, source_sentences
from tests.streams.coordinate.coordinator import Coordinator, restored


@pytest.fixture
def coordinator() -> Coordinator:
    coordinator = Coordinator()
    coordinator.put()
    coordinator.start()
    return coordinator


def test_what_became_of_records_is_the_error_of_the_task(coordinator: Coordinator) -> None:
    coordinator.rows(40)
    coordinator.report(late=400, dead_letters={"bad-time": 12, "missing-time": 5})
    coordinator.report(partition=1, late=12, unread=2_000)
    coordinator.report(partition=1, late=12, unread=2_000, note="srv was deleted and made anew")
    assert coordinator.realtime.state == "RUNNING"
    assert coordinator.realtime.error == (
        "2,000 records of srv/1 were deleted by retention before they were read; srv was deleted and made anew; "
        "412 records of srv were late (a longer window_delay would take them in); "
        "17 records of srv could not be used (bad-time 12, missing-time 5): see riverwatch deadletters --topic srv"
    )


def test_a_note_goes_when_there_is_nothing_to_say_any_more(coordinator: Coordinator) -> None:
    coordinator.report(note="srv/0 trails the others")
    assert (coordinator.realtime.state, coordinator.realtime.error) == ("CREATED", "srv/0 trails the others")
    coordinator.report()
    assert coordinator.realtime.error == ""


def test_workers_and_sources_share_the_error(coordinator: Coordinator) -> None:
    coordinator.report(late=1)
    coordinator.rows(3, error="no disk")
    assert coordinator.realtime.error == "no disk; 1 record of srv was late (a longer window_delay would take them in)"
    coordinator.report(late=2)
    coordinator.rows(4)
    assert coordinator.realtime.error == "2 records of srv were late (a longer window_delay would take them in)"


def test_topics_that_do_not_exist_are_named_until_they_do() -> None:
    coordinator = Coordinator()
    coordinator.put(indices=["srv", "orders", "web-*"])
    coordinator.start()
    assert coordinator.realtime.error == "no such index [orders]"
    coordinator.send(Sources(detector_id="d1", run=coordinator.run, sources={"orders": {0: 0}}))
    assert coordinator.realtime.error == ""
    coordinator.send(Sources(detector_id="d1", run=coordinator.run, sources={"orders": {}, "srv": {}}))
    assert coordinator.realtime.error == "no such index [srv, orders, web-*]"


def test_reports_are_written_now_and_then_and_only_when_something_changed(coordinator: Coordinator) -> None:
    assert len(coordinator.report(late=5)) == 1
    assert coordinator.report(late=5) == ()
    run = coordinator.run
    for late in range(6, 100):
        report = SourceReport(detector_id="d1", run=run, topic="srv", partition=late % 2, node_id="n", late=late)
        assert coordinator.send(report).records == ()
        if late < 8:
            assert coordinator.machine.flush(coordinator.realtime.last_update_time + REPORT_PAUSE_MS - 1) == ()
    (record,) = coordinator.machine.flush(coordinator.now + REPORT_PAUSE_MS)
    assert record.value is not None
    document = stored.decode_state(record.value)
    assert isinstance(document, stored.StoredTask)
    assert document.ledger is not None
    assert [share.late for share in document.ledger.sources["srv"].values()] == [98, 99]
    assert coordinator.machine.flush(coordinator.now + 10 * REPORT_PAUSE_MS) == ()


def test_reports_on_what_is_over_or_unknown_change_nothing(coordinator: Coordinator) -> None:
    assert coordinator.report(run=coordinator.run - 1, late=5) == ()
    assert coordinator.report(topic="other", late=5) == ()
    coordinator.report(epoch=7, late=5)
    assert coordinator.report(epoch=6, late=50, note="stale") == ()
    coordinator.report(epoch=8, late=3, unread=1)
    (share,) = (
        coordinator.machine.state.ledger_of(
            coordinator.machine.state.tasks_of("d1", frozenset({"REALTIME_SINGLE_ENTITY"}))[0]
        )
        .sources["srv"]
        .values()
    )
    assert (share.late, share.unread, share.epoch) == (5, 1, 8)


def test_what_was_reported_just_before_a_stop_is_in_the_ended_task(coordinator: Coordinator) -> None:
    run = coordinator.run
    coordinator.send(SourceReport(detector_id="d1", run=run, topic="srv", partition=0, node_id="n", late=3))
    coordinator.send(JobStop(detector_id="d1"))
    task = coordinator.realtime
    assert (task.state, task.error) == (
        "STOPPED",
        "3 records of srv were late (a longer window_delay would take them in)",
    )


def test_a_restored_coordinator_knows_the_reports_that_were_written(coordinator: Coordinator) -> None:
    coordinator.report(late=5)
    machine = restored(coordinator.log)
    (task,) = machine.state.tasks.values()
    assert machine.state.ledger_of(task).sources["srv"][0].late == 5


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5)), max_size=800))
def test_a_ledger_stays_small_and_keeps_the_worst(reports: list[tuple[int, int, int]]) -> None:
    ledger, most = Ledger(), 0
    for topic, partition, late in reports:
        report = SourceReport(detector_id="d", run=1, topic=f"m{topic}", partition=partition, node_id="n", late=late)
        ledger, most = folded(ledger, report), max(most, late)
    shares = [share for partitions in ledger.sources.values() for share in partitions.values()]
    assert len(shares) <= SOURCES_KEPT
    assert max((share.late for share in shares), default=0) == most
    assert len(in_one(source_sentences(ledger.sources)).split("; ")) <= SENTENCES + 1


def test_a_full_ledger_is_a_small_record() -> None:
    ledger = Ledger()
    for partition in range(2 * SOURCES_KEPT):
        report = SourceReport(detector_id="d", run=1, topic="m", partition=partition, node_id="n", note="x" * 10_000)
        ledger = folded(ledger, report)
    assert len(msgspec.json.encode(ledger)) < 100_000
