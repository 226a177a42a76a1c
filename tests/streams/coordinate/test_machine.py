"""Random lives: whatever comes in whatever order, the coordinator keeps its promises."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import state as stored
from schemas.command import (
    DetectorDelete,
    DetectorPut,
    Event,
    Failed,
    HistoryStart,
    HistoryStop,
    JobStart,
    JobStop,
    Progress,
    ScanProgress,
    Sources,
    TaskProgress,
    decode_event,
    encode_event,
)
from schemas.state import StoredTask
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, REALTIME_TYPES, Task
from streams.coordinate.state import CoordinatorState, Record
from streams.coordinate.step import Context
from streams.coordinate.tasks import TRANSITIONS
from tests.schemas.documents import detector
from tests.streams.coordinate.coordinator import LIMITS, RANGES, Coordinator, restored

MOVES = {(before, after) for before, after, _ in TRANSITIONS}

ids = st.sampled_from(["d1", "d1", "d1", "d2"])
puts = st.builds(
    DetectorPut,
    detector_id=ids,
    request_id=st.none() | st.just("r"),
    mode=st.sampled_from(["upsert", "upsert", "create", "update"]),
    detector=st.builds(
        detector,
        name=st.sampled_from(["a", "b", "c", "d", "a b"]),
        category_field=st.sampled_from([..., ..., ["host"]]),
        history=st.sampled_from([..., ..., ..., 0]),
    ),
    if_seq_no=st.none() | st.none() | st.integers(0, 3),
    if_primary_term=st.none() | st.none() | st.just(1),
)
stops = st.one_of(
    st.builds(JobStop, detector_id=ids, request_id=st.just("r")),
    st.builds(HistoryStop, detector_id=ids, request_id=st.just("r")),
)
ends = st.one_of(
    stops,
    stops,
    st.builds(DetectorDelete, detector_id=ids),
    st.builds(
        Failed, detector_id=ids, error=st.just("boom"), run=st.none() | st.just(0), task_id=st.none() | st.just("")
    ),
)
starts = st.one_of(
    st.builds(JobStart, detector_id=ids, request_id=st.just("r")),
    st.builds(
        HistoryStart,
        detector_id=ids,
        request_id=st.just("r"),
        start_time=st.sampled_from([0, 1, 2]),
        end_time=st.just(1),
    ),
)
rows = st.sampled_from([0, 5, 31, 32, 40])
words = st.one_of(
    st.builds(
        Progress,
        detector_id=ids,
        run=st.just(0),
        partition=st.integers(0, 1),
        rows=rows,
        node_id=st.just("n"),
        error=st.sampled_from(["", "broken"]),
    ),
    st.builds(Sources, detector_id=ids, run=st.just(0), sources=st.sampled_from([{"srv": {2: 7}}, {"srv": {}}])),
    st.builds(
        ScanProgress,
        detector_id=ids,
        task_id=st.just(""),
        topic=st.just("srv"),
        partition=st.sampled_from([0, 0, 0, 1, 2]),
        offset=st.sampled_from([0, 50, 100]),
        records=st.sampled_from([0, 5]),
        current=st.none(),
        done=st.booleans(),
        node_id=st.just("n"),
    ),
    st.builds(
        TaskProgress,
        detector_id=ids,
        task_id=st.just(""),
        partition=st.sampled_from([0, 0, 1, 1, 2]),
        rows=rows,
        entities=st.integers(0, 3),
        windows=st.just(1),
        anomalies=st.just(0),
        scored_until=st.none() | st.integers(0, 9),
        done=st.booleans(),
        node_id=st.just("n"),
    ),
)
anything = st.one_of(puts, starts, starts, words, words, words, words, words, ends)
contexts: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {}, {}, {"sources": {}}, {"ranges": {}}, {"ranges": {"srv": {0: (3, 3)}}}]
)
PRELUDE = [
    DetectorPut(detector_id="d1", detector=detector(name="a")),
    DetectorPut(detector_id="d2", detector=detector(name="b", category_field=["host"])),
]
single = st.tuples(anything, contexts, st.sampled_from([False, False, False, True]))


@st.composite
def analyses(draw: st.DrawFn) -> list[tuple[Event, dict[str, Any], bool]]:
    """An analysis that comes to its end: alone, that is too rare."""
    read = ScanProgress(
        detector_id="d1",
        task_id="",
        topic="srv",
        partition=0,
        offset=100,
        records=9,
        current=None,
        done=True,
        node_id="n",
    )
    scored = TaskProgress(
        detector_id="d1", task_id="", partition=0, rows=draw(rows), entities=1, windows=1, anomalies=0,
        scored_until=1, done=True, node_id="n",
    )  # fmt: skip
    words: list[Event] = [
        replaced for word in (read, scored) for replaced in (word, msgspec.structs.replace(word, partition=1))
    ]
    events = [HistoryStart(detector_id="d1", start_time=0, end_time=1), *draw(st.permutations(words))]
    return [(event, {}, False) for event in events]


pieces: st.SearchStrategy[list[tuple[Event, dict[str, Any], bool]]] = st.integers(0, 9).flatmap(
    lambda number: analyses() if number == 9 else single.map(lambda one: [one])
)
lives = st.lists(pieces, min_size=15, max_size=50).map(lambda parts: [event for part in parts for event in part])


def aimed(state: CoordinatorState, event: Event, stale: bool) -> Event:
    """Internal events name a run or task: mostly one that lives, now and then one that never did."""
    changes: dict[str, Any] = {}
    job, task = state.jobs.get(event.detector_id), state.historical_task(event.detector_id)
    if getattr(event, "run", None) is not None and job is not None and job.run is not None:
        changes["run"] = job.run.id - stale
    if getattr(event, "task_id", None) is not None and task is not None and not stale:
        changes["task_id"] = task.id
    return msgspec.structs.replace(event, **changes)


def contents(state: CoordinatorState) -> tuple[Any, ...]:
    return (state.offset, state.detectors, state.jobs, state.tasks, state.children)


@settings(max_examples=100, deadline=None)
@given(lives)
def test_a_life_keeps_every_promise(life: list[tuple[Event, dict[str, Any], bool]]) -> None:
    coordinator = Coordinator()
    for put in PRELUDE:
        coordinator.send(put)
    for event, context, stale in life:
        event = decode_event(encode_event(aimed(coordinator.machine.state, event, stale)))
        before = contents(coordinator.machine.state)
        tasks = dict(coordinator.machine.state.tasks)
        versions = known_versions(coordinator.machine.state)
        effects = coordinator.send(event, **context)
        if effects.dead_letter is not None or (effects.reply and effects.reply.error):
            assert effects.records == ()
        if not effects.records:
            assert contents(coordinator.machine.state)[1:] == before[1:]
        check_records(effects.records, tasks, versions)
        check_state(coordinator.machine.state)
        again = coordinator.machine.apply(event, Context(now_ms=0, control_offset=coordinator.offset, ranges=RANGES))
        assert (again.records, again.reply) == ((), None)
    assert contents(restored(coordinator.log).state) == contents(coordinator.machine.state)
    newest = {(record.topic, record.key): index for index, (record, _) in enumerate(coordinator.log)}
    compacted = restored(coordinator.log[index] for index in sorted(newest.values()))
    assert contents(compacted.state) == contents(coordinator.machine.state)


def known_versions(state: CoordinatorState) -> dict[tuple[str, str], int]:
    return {
        **{("detectors", key): each.version for key, each in state.detectors.items()},
        **{("state", key): each.version for key, each in state.jobs.items()},
        **{("state", key): each.version for key, each in state.tasks.items()},
    }


def check_records(
    records: tuple[Record, ...], tasks: dict[str, StoredTask], versions: dict[tuple[str, str], int]
) -> None:
    """Every document's version counts up by one, and tasks move along the table only."""
    for topic, key, value in records:
        if topic == "scans":
            continue
        if value is None:
            assert (topic, key) in versions
            del versions[topic, key]
            tasks.pop(key, None)
            continue
        document = stored.decode_detector(value) if topic == "detectors" else stored.decode_state(value)
        assert not isinstance(document, stored.Position)
        assert document.version == versions.get((topic, key), 0) + 1
        versions[topic, key] = document.version
        if isinstance(document, StoredTask):
            check_move(tasks.get(key), document.document)
            tasks[key] = document


def check_move(before: StoredTask | None, after: Task) -> None:
    if before is None:
        assert after.state == "CREATED"
        return
    old = before.document
    assert old.is_latest is True or after == old
    if after.is_latest is False:
        assert after == msgspec.structs.replace(old, is_latest=False)
        return
    assert (old.state, after.state) in MOVES
    for grown in ("task_progress", "init_progress"):
        assert getattr(after, grown) >= getattr(old, grown)
    assert (after.execution_end_time is None) == (after.state in LIVE_STATES)


def check_state(state: CoordinatorState) -> None:
    """What is true of detectors, jobs and tasks at any time."""
    names = [each.document["name"] for each in state.detectors.values()]
    assert len(set(names)) == len(names)
    for detector_id in ("d1", "d2"):
        job = state.jobs.get(detector_id)
        assert job is None or detector_id in state.detectors
        running = job is not None and job.document.enabled is True
        assert running == (job is not None and job.run is not None)
        realtime = state.tasks_of(detector_id, REALTIME_TYPES)
        assert running == any(task.document.state in LIVE_STATES for task in realtime)
        for of_kind in (realtime, state.tasks_of(detector_id, HISTORICAL_TYPES)):
            assert detector_id in state.detectors or not of_kind
            assert [task.document.is_latest for task in of_kind] == [True, False, False][: len(of_kind)]
            assert len(of_kind) <= 1 + LIMITS.max_old_tasks
            assert all(task.document.state not in LIVE_STATES for task in of_kind[1:])


def test_offsets_come_back_with_the_records() -> None:
    coordinator = Coordinator()
    coordinator.put()
    coordinator.put("d2")
    coordinator.put()
    machine = restored(coordinator.log)
    put = DetectorPut(detector_id="d1", detector=detector(name="d1"), if_seq_no=2, if_primary_term=1)
    assert machine.apply(put, Context(now_ms=1, control_offset=99)).records


def test_a_deletion_is_not_repeated_after_a_restart() -> None:
    coordinator = Coordinator()
    coordinator.put()
    coordinator.delete()
    again = restored(coordinator.log).apply(
        DetectorDelete(detector_id="d1", request_id="r"), Context(now_ms=1, control_offset=coordinator.offset)
    )
    assert (again.records, again.reply, again.dead_letter) == ((), None, None)
