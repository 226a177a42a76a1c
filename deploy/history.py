"""Starting a historical analysis and following it, through the topics alone: no API is needed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from deploy.analysis import Analysis
from deploy.errors import DeployError, KafkaUnreachable
from schemas.command import (
    HistoryStart,
    HistoryStop,
    Reply,
    ScanProgress,
    TaskProgress,
    decode_event,
    decode_reply,
    encode_event,
)
from schemas.state import StoredTask, decode_detector, decode_state

PATIENCE_SECONDS = 30.0


@dataclass
class Progress(Analysis):
    """What is known about one analysis, folded from the topics ``state`` and ``control``."""

    records: int | None = 0
    scans: dict[tuple[str, int], ScanProgress] = field(default_factory=dict)
    models: dict[int, TaskProgress] = field(default_factory=dict)

    def fold(self, topic: str, key: str, value: bytes) -> None:
        """Take in a record of ``state`` or ``control``; what is about something else changes nothing."""
        if topic == "state":
            if key == self.task_id and isinstance(stored := decode_state(value), StoredTask):
                task = stored.document
                self.state, self.error = task.state, task.error
                self.share = task.task_progress if isinstance(task.task_progress, float) else 0.0
            return
        try:
            event = decode_event(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # anyone may write to control
        if isinstance(event, ScanProgress) and event.task_id == self.task_id:
            self.scans[event.topic, event.partition] = event
            self.records = sum(scan.records for scan in self.scans.values())
        elif isinstance(event, TaskProgress) and event.task_id == self.task_id:
            self.models[event.partition] = event
            models = self.models.values()
            self.windows = max(model.windows for model in models)
            self.entities = sum(model.entities for model in models)
            self.anomalies = sum(model.anomalies for model in models)


class TopicAnalyses:
    """Sends commands and reads what comes of them. Raises ``KafkaUnreachable``, or ``DeployError`` for a refusal."""

    def __init__(self, client: Mapping[str, Any], prefix: str) -> None:
        self._prefix = prefix
        self._brokers = client["bootstrap.servers"]
        quiet = {"log_level": 2, "error_cb": lambda _error: None}
        self._producer = Producer({**quiet, **client, "partitioner": "murmur2_random"})
        self._consumer = Consumer(
            {**quiet, **client, "group.id": "riverwatch-history", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        )
        self._ends = {name: self._end(name) for name in ("detectors", "replies", "state", "control")}

    def _end(self, name: str) -> int:
        try:
            place = TopicPartition(self._prefix + name, 0)
            return int(self._consumer.get_watermark_offsets(place, timeout=PATIENCE_SECONDS)[1])
        except KafkaException as error:
            raise KafkaUnreachable(
                f"Kafka does not answer at {self._brokers} ({error.args[0].str()}). Check --brokers"
                " (RIVERWATCH_BROKERS), and run riverwatch topics apply if its topics are missing."
            ) from error

    def find(self, detector: str) -> str:
        """The id of a detector that is given by its id or its name."""
        names: dict[str, str] = {}
        topic = self._prefix + "detectors"
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        deadline = time.monotonic() + PATIENCE_SECONDS
        position = 0
        while position < self._ends["detectors"] and time.monotonic() < deadline:
            for message in self._messages(0.2):
                key = message.key().decode()
                names.pop(key, None)
                if message.value() is not None:
                    names[key] = decode_detector(message.value()).document["name"]
            # Compaction leaves gaps, also at the end.
            position = max(position, self._consumer.position([TopicPartition(topic, 0)])[0].offset)
        if detector in names:
            return detector
        found = [key for key, name in names.items() if name == detector]
        if not found:
            raise DeployError(f"there is no detector with the id or name {detector}")
        return found[0]

    def start(self, detector_id: str, start_ms: int, end_ms: int) -> Progress:
        """Start an analysis."""
        request = uuid.uuid4().hex
        reply = self._ask(
            HistoryStart(detector_id=detector_id, start_time=start_ms, end_time=end_ms, request_id=request)
        )
        self._consumer.assign(
            [TopicPartition(self._prefix + name, 0, self._ends[name]) for name in ("state", "control")]
        )
        return Progress(reply.id)

    def follow(self, progress: Progress, seconds: float) -> None:
        """Take in what comes within ``seconds``."""
        for message in self._messages(seconds):
            if message.value() is not None:
                name = message.topic().removeprefix(self._prefix)
                progress.fold(name, (message.key() or b"").decode(), message.value())

    def stop(self, detector_id: str) -> None:
        """Stop the running analysis of a detector."""
        self._send(HistoryStop(detector_id=detector_id))

    def close(self) -> None:
        """Let go of the connections."""
        self._producer.flush(5)
        self._consumer.close()

    def _ask(self, command: HistoryStart) -> Reply:
        self._consumer.assign([TopicPartition(self._prefix + "replies", 0, self._ends["replies"])])
        self._send(command)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for message in self._messages(0.2):
                if message.key() == (command.request_id or "").encode():
                    reply = decode_reply(message.value())
                    if reply.error is not None:
                        raise DeployError(reply.error["reason"])
                    return reply
        raise DeployError(f"nobody answers within {PATIENCE_SECONDS:.0f} s: is a worker running (riverwatch worker)?")

    def _send(self, command: HistoryStart | HistoryStop) -> None:
        self._producer.produce(self._prefix + "control", encode_event(command), key=command.detector_id)
        if self._producer.flush(PATIENCE_SECONDS):
            raise KafkaUnreachable(f"Kafka does not answer at {self._brokers}. Check --brokers (RIVERWATCH_BROKERS).")

    def _messages(self, seconds: float) -> list[Message]:
        return [message for message in self._consumer.consume(5_000, seconds) if message.error() is None]
