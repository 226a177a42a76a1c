"""Somebody who sends commands, and what must have become of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from schemas import command
from schemas.command import DetectorDelete, DetectorPut, HistoryStart, HistoryStop, JobStart, JobStop, decode_reply
from schemas.state import StoredJob, StoredTask, decode_detector, decode_state
from schemas.task import LIVE_STATES
from streams.coordinate.batch import Batch, Received
from streams.coordinate.lookup import Found
from streams.coordinate.machine import Machine
from streams.coordinate.step import CoordinatorLimits
from tests.simulation.coordinator import MemoryTopics
from tests.simulation.log import Partition
from tests.simulation.world import EPOCH_MS, World

Documents = dict[str, Any]


class Client:
    """Sends commands at random moments, each once and in order; while Kafka is away it waits."""

    def __init__(self, world: World, prefix: str) -> None:
        self._world = world
        self._prefix = prefix
        self._waiting: list[command.Command] = []
        self.sent = 0
        self.last_at = 0.0

    def send_later(self, at: float, event: command.Command) -> None:
        """Send a command at a time."""
        self.last_at = max(self.last_at, at)
        self._world.after(at, lambda: self._send(event))

    def _send(self, event: command.Command) -> None:
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._transmit()

    def _transmit(self) -> None:
        early = not self._worth_analysing() and any(isinstance(event, HistoryStart) for event in self._waiting)
        if self._world.log.away or early:
            self._world.after(0.3, self._transmit)
            return
        for event in self._waiting:
            self.sent += 1
            value = command.encode_event(msgspec.structs.replace(event, request_id=f"r{self.sent}"))
            topic = self._prefix + "control"
            self._world.log.append(topic, 0, self._world.now_ms, event.detector_id.encode(), value)
        self._waiting.clear()

    def _worth_analysing(self) -> bool:
        """Whether there is a record: an analysis of nothing fails, and whether there is one depends on the moment."""
        topics = MemoryTopics(self._world, self._prefix).partitions()
        return any(partition.end for topic in topics for partition in self._world.log.topics[topic])

    def make_up(self, ids: Iterable[str], document: Documents) -> None:
        """Think of commands on these detectors, sensible ones and others."""
        dice = self._world.dice
        for detector_id in ids:
            put = DetectorPut(detector_id=detector_id, detector={**document, "name": detector_id})
            for _ in range(dice.randint(1, 6)):
                choices: list[command.Command] = [
                    put,
                    JobStart(detector_id=detector_id, from_="earliest"),
                    JobStart(detector_id=detector_id),
                    JobStop(detector_id=detector_id),
                    DetectorDelete(detector_id=detector_id),
                    HistoryStart(detector_id=detector_id, start_time=EPOCH_MS - 10**9, end_time=EPOCH_MS + 10**6),
                    HistoryStop(detector_id=detector_id),
                ]
                self.send_later(dice.uniform(0.5, 25.0), dice.choice(choices))
            self.send_later(0.4, put)


def undisturbed(world: World, prefix: str) -> tuple[Documents, dict[str, int]]:
    """What the commands that were sent lead to, one after the other: documents, and the status of each reply."""
    machine, topics, now = Machine(CoordinatorLimits(model_partitions=2), "alone"), MemoryTopics(world, prefix), 0
    documents: dict[str, bytes | None] = {}
    replies: dict[str, int] = {}
    for record in world.log.topics[prefix + "control"][0].records:
        now = record.timestamp
        batch, received = Batch(machine, prefix=prefix), Received.of(record.offset, record.key, record.value)
        question = batch.question(received, now)
        batch.take(received, now, Found({}, {}) if question is None else topics.answer(question))
        batch.close(now)
        offsets = list(range(len(batch.entries)))
        documents.update(
            (f"{entry.topic}/{entry.key!s}", entry.value)
            for entry in batch.entries
            if entry.topic in ("detectors", "state")
        )
        replies.update(_statuses(reply.value for reply in batch.replies(offsets)))
        batch.written(offsets)
    return _shown(documents), replies


def disagreements(world: World, prefix: str) -> list[str]:
    """What is wrong with the documents and the replies: each command has one reply, and all of its effects, once."""
    held: dict[str, bytes | None] = {}
    for topic in ("detectors", "state"):
        for record in world.log.topics[prefix + topic][0].records:
            held[f"{topic}/{(record.key or b'').decode()}"] = record.value
    wanted, replies = undisturbed(world, prefix)
    found = _shown(held)
    wrong = [
        f"{key} is {found.get(key)} and must be {wanted.get(key)}"
        for key in sorted(wanted.keys() | found.keys())
        if found.get(key) != wanted.get(key)
    ]
    wrong += _strays(held)
    answers: Partition = world.log.topics[prefix + "replies"][0]
    counts = Counter((record.key or b"").decode() for record in answers.records)
    wrong += [f"{key} was answered {count} times" for key, count in sorted(counts.items()) if count > 1]
    statuses = dict(_statuses(record.value for record in answers.records))
    wrong += [
        f"{key} was answered {statuses.get(key)}, not {replies[key]}"
        for key in sorted(replies)
        if statuses.get(key) != replies[key]
    ]
    return wrong


def _strays(held: dict[str, bytes | None]) -> Iterable[str]:
    """The entity tasks, which scorers write, whose analysis is gone, or over while they are not."""
    tasks = {
        stored.id: stored.document
        for key, value in held.items()
        if key.startswith("state/") and value is not None and isinstance(stored := decode_state(value), StoredTask)
    }
    for task_id, task in tasks.items():
        parent = tasks.get(task.parent_task_id or task_id)
        if parent is None or (task.state in LIVE_STATES and parent.state not in LIVE_STATES):
            yield f"entity task {task_id} is {task.state}, its analysis {parent and parent.state}"


def _statuses(values: Iterable[bytes | None]) -> Iterable[tuple[str, int]]:
    for value in values:
        reply = decode_reply(value or b"")
        yield reply.request_id, reply.status


def _shown(documents: dict[str, bytes | None]) -> Documents:
    """Of each document what does not depend on when it was decided about."""
    shown: Documents = {}
    for key, value in documents.items():
        if value is None:
            continue
        if key.startswith("detectors/"):
            shown[key] = decode_detector(value).version
            continue
        stored = decode_state(value)
        if isinstance(stored, StoredJob):
            shown[key] = (stored.version, stored.document.enabled, stored.run is None)
        elif isinstance(stored, StoredTask) and stored.document.parent_task_id is None:
            shown[key] = (stored.document.task_type, stored.document.detector_id, stored.document.state)
    return shown
