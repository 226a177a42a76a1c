"""Whatever lies in the topics detectors and state: no fold of them ever raises, and what is readable counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from schemas.command import encode_event
from schemas.state import POSITION_KEY, decode_state, encode
from streams.coordinate.batch import Batch, Received
from streams.coordinate.entities import corrections
from streams.coordinate.journal import Held
from streams.coordinate.machine import Machine
from streams.coordinate.state import Record
from streams.detectors import Detectors
from streams.kafka.follower import KafkaRecord
from streams.kafka.unreadable import Unreadable
from streams.settings import Settings
from tests.streams.coordinate.coordinator import LIMITS, Coordinator
from tests.streams.coordinate.test_machine import anything


def record(topic: str, key: bytes | None, value: bytes | None) -> KafkaRecord:
    """A record as a follower delivers it."""
    return KafkaRecord(topic, 0, 0, (key or b"").decode("utf-8", "replace"), value, 0)


def good() -> list[tuple[str, bytes, bytes]]:
    """What a coordinator wrote: a detector with a run and an analysis of several entities."""
    coordinator = Coordinator()
    coordinator.put(category_field=["host"])
    coordinator.start()
    coordinator.analyse()
    coordinator.report(late=3)
    return [(record.topic, record.key.encode(), record.value) for record, _ in coordinator.log if record.value]


GOOD = good()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes | None, bytes | None]:
    """A good record of which one member, at any depth, is something else, or is missing."""
    topic, key, value = draw(st.sampled_from(GOOD))
    document = msgspec.json.decode(value)
    at: Any = document
    while True:
        name = draw(st.sampled_from(sorted(at)))
        if not isinstance(at[name], dict) or not at[name] or draw(st.booleans()):
            break
        at = at[name]
    if draw(st.booleans()):
        del at[name]
    else:
        at[name] = draw(json_values)
    try:
        return topic, key, msgspec.json.encode(document)
    except (ValueError, OverflowError):
        return topic, key, str(document).encode()


binary = st.binary(max_size=20)
rubbish = st.tuples(
    st.sampled_from(["detectors", "state"]),
    st.none() | binary | st.sampled_from([key for _, key, _ in GOOD]),
    st.none() | binary | json_values.map(repr).map(str.encode) | st.just(b"[" * 100_000),
)
records = st.lists(rubbish | damaged() | damaged() | st.sampled_from(GOOD), max_size=12)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@settings(max_examples=150, deadline=None)
@given(records)
def test_every_workers_view_takes_anything(found: list[tuple[str, bytes | None, bytes | None]]) -> None:
    async def fold() -> None:
        detectors, unreadable = Detectors(Settings()), Unreadable()
        for each in [*found, *GOOD]:
            with unreadable.skipping(each[0], 0):
                detectors.apply(record(*each))
        assert "d1" in detectors.running
        detectors.topics()

    asyncio.run(fold())


@settings(max_examples=150, deadline=None)
@given(records, st.lists(anything.map(encode_event) | binary, max_size=5))
def test_the_coordinator_takes_anything_and_goes_on(
    found: list[tuple[str, bytes | None, bytes | None]], events: list[bytes]
) -> None:
    machine, unreadable = Machine(LIMITS, "n"), Unreadable()
    held = [Held(topic, key, value, offset) for offset, (topic, key, value) in enumerate(found)]
    for record in held:
        with unreadable.skipping(record.topic, record.offset):
            machine.state.restore(Record(record.topic, (record.key or b"").decode(), record.value), record.offset)
    machine.state.restored(control_end=7)
    for record in held:
        with unreadable.skipping(record.topic, record.offset):
            machine.observe(Record(record.topic, (record.key or b"").decode(), record.value))
    batch = Batch(machine, prefix="riverwatch.")
    for offset, value in enumerate(events, start=7):
        batch.take(Received.of(offset, None, value), 1_000_000)
    batch.close(10_000_000)
    assert len(batch.replies(range(len(batch.entries)))) <= len(events)
    corrections(held, machine.state.tasks, 1, unreadable)
    for entry in batch.entries:
        if entry.topic == "state" and entry.value is not None:
            decode_state(entry.value)


def test_a_broken_record_is_counted_and_told_once_a_kind_and_leaves_what_was_there() -> None:
    structlog.reset_defaults()
    machine, unreadable = Machine(LIMITS, "n"), Unreadable()
    topic, key, value = GOOD[0]
    with capture_logs() as logs:
        for offset, each in enumerate(
            [value, b"{", b"{", b"[", b'{"id":"d1","version":1,"control_offset":1,"document":{}}']
        ):
            with unreadable.skipping(topic, offset):
                machine.state.restore(Record(topic, key.decode(), each), offset)
    assert list(machine.state.detectors) == ["d1"]
    assert unreadable.counts == {"detectors": 4}
    assert [log["offset"] for log in logs] == [1, 3, 4]


def test_a_document_under_another_key_and_one_that_changes_hands_do_no_harm() -> None:
    machine = Machine(LIMITS, "n")
    (task,) = [value for topic, key, value in GOOD if topic == "state" and b"HISTORICAL" in value][-1:]
    with pytest.raises(ValueError, match="under the key"):
        machine.state.restore(Record("state", "other", task), 0)
    document = decode_state(task)
    moved = msgspec.structs.replace(document, document=msgspec.structs.replace(document.document, detector_id="d2"))  # type: ignore[union-attr]
    for each in (document, moved, document):
        machine.state.restore(Record("state", document.id, encode(each)), 0)  # type: ignore[union-attr]
    assert machine.state.live_historical_tasks() == 1
    machine.state.restore(Record("state", document.id, None), 1)  # type: ignore[union-attr]
    assert (machine.state.live_historical_tasks(), machine.state.historical_task("d2")) == (0, None)
    machine.state.restore(Record("state", POSITION_KEY, None), 2)
