from __future__ import annotations

import pytest

from schemas.command import Failed, JobStart, JobStop, Sources
from schemas.state import Run
from schemas.task import REALTIME_TYPES
from tests.schemas.documents import feature, minutes
from tests.streams.coordinate.coordinator import SOURCES, Coordinator, reason


@pytest.fixture
def coordinator() -> Coordinator:
    coordinator = Coordinator()
    coordinator.put()
    return coordinator


def test_a_start_makes_a_job_and_a_task(coordinator: Coordinator) -> None:
    effects_offset = coordinator.offset + 1
    reply = coordinator.start()
    assert (reply.status, reply.id, reply.version, reply.error) == (200, "d1", 1, None)
    now, job, task = coordinator.now, coordinator.job, coordinator.realtime
    assert (job.name, job.enabled, job.type) == ("d1", True, "AD")
    assert job.schedule == {"interval": {"start_time": now, "period": 1, "unit": "Minutes"}}
    assert job.window_delay == minutes(0)
    assert (job.enabled_time, job.last_update_time, job.lock_duration_seconds) == (now, now, 60)
    assert job.disabled_time is None
    run = coordinator.stored_job.run
    assert run is not None
    assert (run.id, run.sources) == (effects_offset, SOURCES)
    assert (task.task_type, task.state, task.is_latest) == ("REALTIME_SINGLE_ENTITY", "CREATED", True)
    assert (task.task_progress, task.init_progress, task.error) == (0.0, 0.0, None)
    assert (task.execution_start_time, task.last_update_time, task.started_by) == (now, now, "ada")
    assert task.detector == coordinator.machine.state.detectors["d1"].document
    assert task.coordinating_node == "node-1"


def test_the_reply_names_the_record_that_gives_its_seq_no(coordinator: Coordinator) -> None:
    started = coordinator.send(JobStart(detector_id="d1", request_id="r"))
    assert started.seq_no_of == ("state", "d1")
    stopped = coordinator.send(JobStop(detector_id="d1", request_id="r"))
    assert stopped.seq_no_of is None
    assert stopped.reply is not None
    assert (stopped.reply.version, stopped.reply.seq_no) == (0, 0)


def test_the_schedule_follows_the_frequency(coordinator: Coordinator) -> None:
    coordinator.put(frequency=minutes(5))
    coordinator.start()
    assert coordinator.job.schedule["interval"]["period"] == 5
    assert coordinator.job.lock_duration_seconds == 300


def test_progress_initialises_then_runs(coordinator: Coordinator) -> None:
    coordinator.start()
    coordinator.rows(8)
    task = coordinator.realtime
    assert (task.state, task.init_progress, task.estimated_minutes_left, task.error) == ("INIT", 0.25, 24, "")
    coordinator.rows(4, partition=1)
    assert coordinator.realtime.init_progress == 0.25
    coordinator.rows(500, partition=1)
    task = coordinator.realtime
    assert (task.state, task.init_progress, task.estimated_minutes_left) == ("RUNNING", 1.0, 0)
    coordinator.rows(3)
    assert coordinator.realtime.state == "RUNNING"


def test_minutes_left_are_rounded_up_for_intervals_in_seconds(coordinator: Coordinator) -> None:
    coordinator.put(detection_interval={"period": {"interval": 10, "unit": "Seconds"}})
    coordinator.start()
    coordinator.rows(5)
    assert coordinator.realtime.estimated_minutes_left == 5


def test_progress_that_says_nothing_new_writes_nothing(coordinator: Coordinator) -> None:
    coordinator.start()
    coordinator.rows(100)
    assert coordinator.rows(101).records == ()
    assert coordinator.rows(0).records == ()


def test_the_error_of_a_task_is_that_of_any_partition(coordinator: Coordinator) -> None:
    coordinator.start()
    coordinator.rows(40)
    coordinator.rows(40, partition=1, error="no such index [srv]")
    assert coordinator.rows(41).records == ()
    assert (coordinator.realtime.state, coordinator.realtime.error) == ("RUNNING", "no such index [srv]")
    coordinator.rows(40, partition=1)
    assert coordinator.realtime.error == ""


def test_a_start_without_topics_says_so_until_records_come(coordinator: Coordinator) -> None:
    coordinator.start(sources={})
    assert coordinator.realtime.error == "no such index [srv]"
    coordinator.send(Sources(detector_id="d1", run=coordinator.run, sources={"srv": {0: 0}}))
    coordinator.rows(1)
    assert coordinator.realtime.error == ""


def test_start_and_stop_twice_are_answered_with_200_and_an_error(coordinator: Coordinator) -> None:
    assert coordinator.stop().error is None  # never started
    coordinator.start()
    effects = coordinator.start()
    assert reason(effects) == (200, "Anomaly detector job is already running: d1")
    stopped = coordinator.stop()
    assert (stopped.status, stopped.id, stopped.version, stopped.seq_no, stopped.error) == (200, "d1", 0, 0, None)
    assert reason(coordinator.stop()) == (200, "job is already stopped: d1")


def test_what_is_only_said_twice_is_no_dead_letter(coordinator: Coordinator) -> None:
    coordinator.start()
    assert coordinator.send(JobStart(detector_id="d1")).dead_letter is None
    assert coordinator.send(JobStart(detector_id="nope")).dead_letter is not None


def test_a_stop_ends_job_and_task(coordinator: Coordinator) -> None:
    coordinator.start()
    coordinator.rows(3)
    started = coordinator.job.enabled_time
    coordinator.stop()
    job, task = coordinator.job, coordinator.realtime
    assert (job.enabled, job.enabled_time, job.disabled_time) == (False, started, coordinator.now)
    assert coordinator.stored_job.run is None
    assert (task.state, task.stopped_by, task.execution_end_time) == ("STOPPED", "ada", coordinator.now)
    assert task.init_progress == 3 / 32


def test_a_restart_is_a_new_run_with_a_new_task(coordinator: Coordinator) -> None:
    coordinator.start()
    first = coordinator.run
    coordinator.stop()
    disabled = coordinator.job.disabled_time
    reply = coordinator.start()
    assert reply.version == 3
    assert coordinator.run > first
    assert coordinator.job.disabled_time == disabled
    assert [task.document.is_latest for task in coordinator.tasks(REALTIME_TYPES)] == [True, False]
    assert coordinator.rows(40, run=first).records == ()
    for _ in range(3):
        coordinator.stop()
        coordinator.start()
    assert len(coordinator.tasks(REALTIME_TYPES)) == 2


def test_what_cannot_start(coordinator: Coordinator) -> None:
    assert reason(coordinator.start("nope")) == (404, "Can't find config with id: nope")
    assert reason(coordinator.stop("nope")) == (404, "Can't find config with id: nope")
    coordinator.put("d2", feature_attributes=[])
    assert reason(coordinator.start("d2")) == (400, "Can't start job as no features configured")
    coordinator.put("d3", feature_attributes=[feature("f", feature_enabled=False)])
    assert reason(coordinator.start("d3")) == (400, "Can't start job as no enabled features configured")


def test_many_entities_have_a_task_type_of_their_own(coordinator: Coordinator) -> None:
    coordinator.delete()
    coordinator.put(category_field=["host"])
    coordinator.start()
    assert coordinator.realtime.task_type == "REALTIME_HC_DETECTOR"


def test_sources_come_and_go(coordinator: Coordinator) -> None:
    coordinator.start()

    def change(sources: dict[str, dict[int, int]], run: int | None = None) -> int:
        event = Sources(detector_id="d1", run=run or coordinator.run, sources=sources)
        return len(coordinator.send(event).records)

    assert change({"srv": {0: 99, 2: 0}, "new": {0: 5}}) == 1
    run = coordinator.stored_job.run
    assert run is not None
    assert run.sources == {"srv": {0: 10, 1: 20, 2: 0}, "new": {0: 5}}
    assert change({"srv": {0: 99, 2: 0}}) == 0
    assert change({"new": {}}) == 1
    assert change({"new": {0: 0}}) == 1
    assert change({"x": {0: 0}}, run=1) == 0


def test_a_failure_ends_the_run(coordinator: Coordinator) -> None:
    coordinator.start()
    assert coordinator.send(Failed(detector_id="d1", run=1, error="old")).records == ()
    coordinator.send(Failed(detector_id="d1", run=coordinator.run, error="no space"))
    task = coordinator.realtime
    assert (task.state, task.error) == ("FAILED", "Stopped analysis: no space")
    assert coordinator.job.enabled is False
    assert coordinator.start().error is None


def test_words_on_nothing_change_nothing(coordinator: Coordinator) -> None:
    assert coordinator.rows(3, run=1).records == ()
    assert coordinator.send(Failed(detector_id="d1", error="whatever")).records == ()
    assert coordinator.send(Failed(detector_id="nope", task_id="t", error="whatever")).records == ()


def test_a_topic_that_was_made_anew_replaces_the_one_before_it(coordinator: Coordinator) -> None:
    coordinator.start()

    def change(partitions: dict[int, int], topic_id: str) -> Run:
        ids = {"srv": topic_id} if topic_id else {}
        event = Sources(detector_id="d1", run=coordinator.run, sources={"srv": partitions}, topic_ids=ids)
        coordinator.send(event)
        run = coordinator.stored_job.run
        assert run is not None
        return run

    run = change({0: 40, 1: 50}, "one")
    assert (run.sources["srv"][1], run.topic_ids["srv"]) == (SOURCES["srv"].get(1, 50), "one")
    # Whoever is told twice of a partition keeps to the first word, but not on another topic.
    run = change({0: 7, 1: 7, 2: 0}, "one")
    assert (run.sources["srv"][1], run.sources["srv"][2]) == (SOURCES["srv"].get(1, 50), 0)
    assert run.added["srv"][-1] == 2
    run = change({0: 0}, "another")
    assert (run.sources["srv"], run.topic_ids["srv"]) == ({0: 0}, "another")
    run = change({}, "")
    assert not {"srv"} & (run.sources.keys() | run.topic_ids.keys() | run.added.keys() | run.live.keys())
