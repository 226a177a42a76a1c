"""Events in batches: every effect once and whole, however they are cut and whoever coordinates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.command import Failed, Progress, decode_reply, encode_event
from schemas.deadletter import MOST_VALUE_BYTES
from schemas.state import POSITION_KEY, StoredTask, decode_state, encode
from schemas.task import Task
from streams.coordinate.batch import REQUEST_ID_LENGTH, TIDIED, Batch, Received
from streams.coordinate.journal import Entry, JournalLost
from streams.coordinate.lookup import Found
from streams.coordinate.machine import Machine
from streams.coordinate.state import Record
from tests.schemas.documents import detector
from tests.streams.coordinate.coordinator import LIMITS, RANGES
from tests.streams.coordinate.memory import Log, Term
from tests.streams.coordinate.test_machine import PRELUDE, anything


def command(kind: str, detector_id: str = "d1", **members: Any) -> bytes:
    """A command that asks for a reply."""
    return json.dumps({"type": kind, "detector_id": detector_id, "request_id": kind, **members}).encode()


def put(detector_id: str = "d1", **members: Any) -> bytes:
    return command("detector.put", detector_id, detector=detector(**{"name": detector_id, **members}))


def carried_out(log: Log, *values: bytes, first: int = 0) -> list[Entry]:
    """Carry out commands as one batch; what was written."""
    term = Term(log)
    term.commit(term.batch([(first + number, value) for number, value in enumerate(values)]))
    return log.transactions[-1]


def test_a_batch_is_one_transaction_with_the_replies_at_its_end() -> None:
    log = Log()
    entries = carried_out(log, put(), command("job.start"), command("job.stop", "nope"), b"rubbish")
    assert len(log.transactions) == 1
    assert [entry.topic for entry in entries] == [
        "detectors", "state", "state", "deadletter", "deadletter", "state", "replies", "replies", "replies",
    ]  # fmt: skip
    created, started, refused = (decode_reply(entry.value or b"") for entry in entries[-3:])
    assert (created.status, created.seq_no, started.seq_no) == (201, 0, 0)
    assert created.offsets == started.offsets == {"detectors": 0, "state": 2}
    assert (refused.status, refused.offsets) == (404, {})
    (position,) = [entry for entry in entries if entry.key == POSITION_KEY]
    assert position.value == b'{"kind":"position","control_offset":3}'


def test_what_cannot_be_read_is_answered_where_that_is_possible() -> None:
    log = Log()
    entries = carried_out(log, command("job.dance"), b'{"type":"job.start"}', b"\xff", b"[" * 100_000)
    assert [entry.topic for entry in entries] == ["deadletter"] * 4 + ["state", "replies"]
    assert decode_reply(entries[-1].value or b"").status == 400


def test_a_task_is_written_once_a_batch_whatever_is_reported_on_it() -> None:
    log = Log()
    carried_out(log, put(), command("job.start"))
    progress = [
        encode_event(Progress(detector_id="d1", run=1, partition=0, rows=rows, node_id="n")) for rows in range(20)
    ]
    entries = carried_out(log, *progress, command("job.stop"), first=2)
    tasks = [decode_state(e.value or b"") for e in entries if e.topic == "state" and e.key not in ("d1", POSITION_KEY)]
    assert [task.document.state for task in tasks if isinstance(task, StoredTask)] == ["STOPPED"]


def test_events_that_change_nothing_write_nothing() -> None:
    term = Term(Log())
    report = Progress(detector_id="d1", run=1, partition=0, rows=3, node_id="n")
    assert term.batch([(0, encode_event(report)), (1, encode_event(report))]).entries == []


def test_the_seq_no_of_a_replaced_detector_is_that_of_its_own_record() -> None:
    log = Log()
    carried_out(log, put(), put("d2"), put(history=50))
    replies = [decode_reply(entry.value or b"") for entry in log.topics["replies"]]
    assert [(reply.version, reply.seq_no) for reply in replies] == [(1, 0), (1, 1), (2, 2)]
    again = command("detector.put", detector=detector(name="d1"), if_seq_no=2, if_primary_term=1)
    entries = carried_out(log, again, first=3)
    assert decode_reply(entries[-1].value or b"").error is None


@pytest.mark.parametrize("size", [REQUEST_ID_LENGTH + 1, 700_000])
def test_no_reply_is_too_large_for_its_topic(size: int) -> None:
    log = Log()
    entries = carried_out(log, command("job.start", "x" * size), command("job.start", request_id="r" * size))
    replies = [entry for entry in entries if entry.topic == "replies"]
    assert [entry.key for entry in replies] == ["job.start"]
    assert all(len(entry.value or b"") < MOST_VALUE_BYTES for entry in replies)


def test_an_event_that_nobody_can_decide_about_is_a_dead_letter_and_the_next_one_is_carried_out() -> None:
    log = Log()
    carried_out(log, put(), command("job.start"))
    term = Term(log)
    term.machine.state.jobs["d1"] = "rubbish"  # type: ignore[assignment]
    term.commit(term.batch([(2, command("job.stop")), (3, put("d2"))]))
    *_, letter, _, failed, created = log.transactions[-1]
    assert (letter.topic, decode_reply(failed.value or b"").status) == ("deadletter", 500)
    assert decode_reply(created.value or b"").status == 201


def test_a_coordinator_that_was_replaced_changes_nothing() -> None:
    log = Log()
    carried_out(log, put(), put("d2"))
    paused = Term(log)
    batch = paused.batch([(2, command("detector.delete"))])
    successor = Term(log)
    successor.commit(successor.batch([(2, command("detector.delete")), (3, put())]))
    before = {topic: list(entries) for topic, entries in log.topics.items()}
    with pytest.raises(JournalLost):
        paused.commit(batch)
    assert log.topics == before
    assert sorted(log.folded("detectors")) == ["d1", "d2"]


def orphan(key: str, parent: str) -> Record:
    task = Task(
        task_type="HISTORICAL_HC_ENTITY", state="RUNNING", detector_id="d1", parent_task_id=parent,
        execution_start_time=1, last_update_time=1,
    )  # fmt: skip
    return Record("state", key, encode(StoredTask(id=key, version=1, control_offset=0, document=task)))


def test_many_entity_tasks_are_deleted_bit_by_bit_also_by_a_successor() -> None:
    log = Log()
    entries = carried_out(log, put(category_field=["host"]), command("history.start", start_time=0, end_time=1))
    (task_id,) = {str(entry.key) for entry in entries if entry.topic == "state"} - {POSITION_KEY}
    count = 2 * TIDIED + 10
    log.topics["state"] += [Entry(*orphan(f"e{number}", task_id)) for number in range(count)]
    term = Term(log)
    term.commit(term.batch([(2, command("history.stop")), (3, command("detector.delete"))]))
    deletion = log.transactions[-1]
    assert len(deletion) < TIDIED + 20
    assert (sorted(log.folded("detectors")), task_id in log.folded("state")) == ([], False)
    successor = Term(log)
    rounds = 0
    while (batch := successor.batch([])).entries:
        assert len(batch.entries) <= TIDIED + 1
        successor.commit(batch)
        rounds += 1
    assert rounds == 2
    assert sorted(log.folded("state")) == [POSITION_KEY]
    assert successor.machine.state.children == {}


events = st.lists(anything.map(encode_event) | st.binary(max_size=8), min_size=3, max_size=25)


@settings(max_examples=60, deadline=None)
@given(events, st.data())
def test_any_cuts_and_any_takeovers_come_to_the_same(values: list[bytes], data: st.DataObject) -> None:
    values = [*map(encode_event, PRELUDE), *values]
    undisturbed = Log()
    term = Term(undisturbed)
    for record in enumerate(values):
        term.commit(term.batch([record]))

    log = Log()
    terms, at = [Term(log)], 0
    pending: list[tuple[Term, Batch]] = []
    while at < len(values):
        size = data.draw(st.integers(1, 5))
        current = terms[-1]
        batch = current.batch(list(enumerate(values))[at : at + size])
        what = data.draw(st.sampled_from(["commit", "commit", "lose", "pause"]))
        if what == "pause":
            pending.append((current, batch))
            terms.append(Term(log))
            continue
        current.journal.lose = what == "lose" and bool(batch.entries)
        try:
            current.commit(batch)
        except JournalLost:
            current.begin()
            continue
        at += size
        for paused, left in pending if data.draw(st.booleans()) else ():
            if left.entries:
                with pytest.raises(JournalLost):
                    paused.commit(left)
    for topic in ("detectors", "state"):
        assert documents(log, topic) == documents(undisturbed, topic)
    assert log.topics.get("replies", []) == [] or answers(log) == answers(undisturbed)
    assert log.topics.get("deadletter", []) == undisturbed.topics.get("deadletter", [])
    assert sorted(map(str, log.topics.get("scans", []))) == sorted(map(str, undisturbed.topics.get("scans", [])))


def documents(log: Log, topic: str) -> dict[str, Any]:
    """Documents without what depends on the cuts: how often a task was written."""
    found = {key: json.loads(value) for key, value in log.folded(topic).items() if key != POSITION_KEY}
    for document in found.values():
        if document.get("kind") == "task":
            del document["version"]
    return found


def answers(log: Log) -> list[tuple[Any, ...]]:
    replies = [decode_reply(entry.value or b"") for entry in log.topics.get("replies", [])]
    return [(reply.request_id, reply.status, reply.id, reply.version, reply.error) for reply in replies]


def test_an_event_whose_outcome_cannot_be_written_is_refused() -> None:
    log = Log()
    carried_out(log, put())
    term = Term(log)
    batch = Batch(term.machine, prefix="riverwatch.")
    batch.refuse(Received.of(1, None, command("job.start")), "too large")
    batch.take(Received.of(2, None, command("job.start")), 5_000, Found(RANGES, {}))
    batch.close(5_000)
    term.commit(batch)
    replies = [decode_reply(entry.value or b"").status for entry in log.topics["replies"]]
    assert replies == [201, 400, 200]
    assert len(log.topics["deadletter"]) == 1


def test_a_position_beyond_the_control_topic_does_not_stop_everything() -> None:
    machine = Machine(LIMITS, "n")
    machine.state.restore(Record("state", POSITION_KEY, b'{"kind":"position","control_offset":1000000}'), 0)
    machine.state.restored(control_end=5)
    batch = Batch(machine, prefix="riverwatch.")
    batch.take(Received.of(5, None, put()), 1)
    assert [entry.topic for entry in batch.entries] == ["detectors"]


def test_failures_of_what_is_unknown_change_nothing() -> None:
    term = Term(Log())
    assert term.batch([(0, encode_event(Failed(detector_id="d1", error="x", run=0)))]).entries == []
