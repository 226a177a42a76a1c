from __future__ import annotations

import pytest

from schemas.command import Failed, HistoryStart, ScanProgress
from schemas.task import HISTORICAL_TYPES, DateRange
from streams.coordinate.machine import Effects
from streams.coordinate.step import CoordinatorLimits
from tests.schemas.documents import feature
from tests.streams.coordinate.coordinator import Coordinator, reason

END = 6_000_000


@pytest.fixture
def coordinator() -> Coordinator:
    coordinator = Coordinator()
    coordinator.put()
    return coordinator


def read(
    coordinator: Coordinator,
    task_id: str,
    offset: int,
    *,
    partition: int = 0,
    done: bool = False,
    missing: str = "",
) -> Effects:
    return coordinator.send(
        ScanProgress(
            detector_id="d1", task_id=task_id, topic="srv", partition=partition, offset=offset, records=offset,
            current=None, done=done, node_id="n", missing=missing,
        )
    )  # fmt: skip


def finish(coordinator: Coordinator, task_id: str, rows: int = 40, missing: str = "") -> None:
    read(coordinator, task_id, 100, done=True, missing=missing)
    read(coordinator, task_id, 0, partition=1, done=True)
    coordinator.scored(task_id, 0, rows, done=True, until=END)
    coordinator.scored(task_id, 1, 0, done=True)


def test_a_start_makes_a_task_and_scans_of_every_partition(coordinator: Coordinator) -> None:
    reply = coordinator.analyse()
    stored, task = coordinator.historical, coordinator.historical.document
    assert (reply.status, reply.id, reply.version) == (200, stored.id, 1)
    assert len(reply.id) == 20
    assert (task.task_type, task.state, task.is_latest) == ("HISTORICAL_SINGLE_ENTITY", "CREATED", True)
    assert (task.task_progress, task.init_progress, task.started_by) == (0.0, 0.0, "ada")
    assert task.detection_date_range == DateRange(0, END)
    scans = [
        (scan.task_id, scan.topic, scan.partition, scan.offset, scan.end_offset, scan.end_time)
        for scan in coordinator.scans
    ]
    assert scans == [(reply.id, "srv", 0, 0, 100, END), (reply.id, "srv", 1, 0, 0, END)]


def test_one_entity_goes_through_init_to_its_end(coordinator: Coordinator) -> None:
    task_id = coordinator.analyse(start=60_000).id
    read(coordinator, task_id, 10)
    task = coordinator.historical.document
    assert (task.state, task.task_progress, task.init_progress, task.current_piece) == ("INIT", 0.1, 0.0, 60_000)
    assert task.worker_node == "n"
    coordinator.scored(task_id, 0, 16, until=1_000_000)
    task = coordinator.historical.document
    assert (task.state, task.init_progress, task.current_piece) == ("INIT", 0.5, 1_000_000)
    coordinator.scored(task_id, 0, 40, until=2_000_000)
    assert coordinator.historical.document.state == "RUNNING"
    finish(coordinator, task_id)
    task = coordinator.historical.document
    assert (task.state, task.task_progress, task.init_progress) == ("FINISHED", 1.0, 1.0)
    assert (task.execution_end_time, task.current_piece, task.error) == (coordinator.now, END, None)
    assert coordinator.historical.ledger is None


def test_many_entities_run_at_once_and_leave_initialisation_to_their_tasks(coordinator: Coordinator) -> None:
    coordinator.delete()
    coordinator.put(category_field=["host"])
    task_id = coordinator.analyse().id
    read(coordinator, task_id, 50)
    task = coordinator.historical.document
    assert (task.task_type, task.state, task.task_progress) == ("HISTORICAL_HC_DETECTOR", "RUNNING", 0.5)
    finish(coordinator, task_id)
    task = coordinator.historical.document
    assert (task.state, task.task_progress, task.init_progress, task.error) == ("FINISHED", 1.0, 0.0, "")


def test_progress_never_goes_back(coordinator: Coordinator) -> None:
    task_id = coordinator.analyse().id
    read(coordinator, task_id, 50)
    assert read(coordinator, task_id, 40).records == ()
    assert read(coordinator, task_id, 50).records == ()
    read(coordinator, task_id, 100, done=True)
    assert coordinator.historical.document.task_progress == 0.999
    coordinator.scored(task_id, 0, 40, done=True, until=9)
    assert coordinator.scored(task_id, 0, 3, until=5).records == ()
    assert coordinator.scored(task_id, 7, 99, until=5).records == ()
    assert coordinator.historical.document.current_piece == 9


def test_a_task_waits_for_every_source_and_every_model_partition(coordinator: Coordinator) -> None:
    task_id = coordinator.analyse().id
    coordinator.scored(task_id, 0, 40, done=True)
    coordinator.scored(task_id, 1, 40, done=True)
    seen = []
    for offset in (99, 100):
        read(coordinator, task_id, offset, done=offset == 100)
        seen.append(coordinator.historical.document.state)
    assert seen == ["RUNNING", "FINISHED"]


def test_too_little_data_is_a_failure_that_says_so(coordinator: Coordinator) -> None:
    finish(coordinator, coordinator.analyse().id, rows=31)
    task = coordinator.historical.document
    assert (task.state, task.error) == ("FAILED", "There is not enough data to train model")
    task_id = coordinator.analyse().id
    coordinator.send(
        ScanProgress(
            detector_id="d1", task_id=task_id, topic="srv", partition=0, offset=100, records=0, current=None,
            done=True, node_id="n",
        )
    )  # fmt: skip
    for partition in (0, 1):
        coordinator.scored(task_id, partition, 0, done=True)
    task = coordinator.historical.document
    assert (task.state, task.error) == ("FAILED", "There is no data in the detection date range")


def test_without_records_or_topics_a_task_fails_at_once(coordinator: Coordinator) -> None:
    assert coordinator.analyse(ranges={"srv": {0: (5, 5)}}).status == 200
    assert coordinator.historical.document.error == "There is no data in the detection date range"
    assert coordinator.analyse(ranges={}).status == 200
    task = coordinator.historical.document
    assert (task.state, task.error) == ("FAILED", "[srv] IndexNotFoundException[no such index [srv]]")
    assert coordinator.scans == []


def test_a_part_of_the_range_that_is_gone_is_named(coordinator: Coordinator) -> None:
    finish(coordinator, coordinator.analyse().id, missing="srv-0 begins at 12:00")
    task = coordinator.historical.document
    assert (task.state, task.error) == ("FINISHED", "srv-0 begins at 12:00")


def test_a_stop_cancels(coordinator: Coordinator) -> None:
    assert reason(coordinator.cancel()) == (400, "Detector not started")
    task_id = coordinator.analyse().id
    read(coordinator, task_id, 50)
    stopped = coordinator.cancel()
    assert (stopped.status, stopped.id, stopped.version, stopped.seq_no) == (200, task_id, 0, 0)
    task = coordinator.historical.document
    assert (task.state, task.error, task.stopped_by) == ("STOPPED", "Historical analysis cancelled by user", "ada")
    assert reason(coordinator.cancel()) == (400, "No running task found")
    assert read(coordinator, task_id, 90).records == ()


def test_what_cannot_start(coordinator: Coordinator) -> None:
    backwards = (400, "Detection data range's end time must be after start time")
    assert reason(coordinator.analyse("nope", start=2, end=1)) == backwards
    assert reason(coordinator.analyse("nope")) == (404, "Can't find config with id: nope")
    coordinator.put("d2", feature_attributes=[feature("f", feature_enabled=False)])
    assert reason(coordinator.analyse("d2")) == (400, "Can't start job as no enabled features configured")
    assert coordinator.analyse(start=-5, end=-5).status == 200
    assert reason(coordinator.analyse()) == (400, "Config is already running")


def test_slots_are_limited() -> None:
    coordinator = Coordinator(CoordinatorLimits(max_historical_tasks=1))
    coordinator.put("d1")
    coordinator.put("d2")
    coordinator.analyse("d1")
    assert reason(coordinator.analyse("d2")) == (400, "No available task slot")
    coordinator.cancel("d1")
    assert coordinator.analyse("d2").status == 200


def test_real_time_and_history_are_independent(coordinator: Coordinator) -> None:
    coordinator.start()
    first = coordinator.analyse().id
    assert [task.document.is_latest for task in coordinator.tasks()] == [True, True]
    coordinator.stop()
    assert coordinator.historical.document.state == "CREATED"
    coordinator.start()
    assert coordinator.historical.document.is_latest is True
    coordinator.cancel()
    coordinator.analyse()
    kept = {task.id: task.document.is_latest for task in coordinator.tasks(HISTORICAL_TYPES)}
    assert kept[first] is False
    assert list(kept.values()) == [True, False]


def test_only_so_many_ended_tasks_are_kept(coordinator: Coordinator) -> None:
    ids = []
    for _ in range(4):
        ids.append(coordinator.analyse().id)
        coordinator.cancel()
    assert [task.id for task in coordinator.tasks(HISTORICAL_TYPES)] == ids[:-3:-1]


def test_a_failure_ends_the_task(coordinator: Coordinator) -> None:
    task_id = coordinator.analyse().id
    assert coordinator.send(Failed(detector_id="other", task_id=task_id, error="x")).records == ()
    coordinator.send(Failed(detector_id="d1", task_id=task_id, error="topic srv was deleted"))
    task = coordinator.historical.document
    assert (task.state, task.error) == ("FAILED", "topic srv was deleted")
    assert coordinator.send(HistoryStart(detector_id="d1", start_time=0, end_time=1)).records
