"""A small coordinator for the tests of the API: carries out commands as the real one does, without workers.

It keeps to the contract that the API relies on: one reply a command, the documents written before it, the
offsets of what was written in it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from confluent_kafka import TopicPartition

from schemas.command import (
    Command,
    DetectorDelete,
    DetectorPut,
    HistoryStart,
    HistoryStop,
    JobStart,
    JobStop,
    Reply,
    decode_event,
    encode_reply,
)
from schemas.detector import parse_detector, shown_document, stored_document
from schemas.detector_check import DetectorLimits
from schemas.errors import Refused
from schemas.result import Result, encode_result
from schemas.state import StoredDetector, StoredJob, StoredTask, encode
from schemas.task import DateRange, Job, Task
from schemas.topics import TOPICS
from tests import kafka
from tests.deadlines import REQUEST


class Coordinator:
    """Consumes ``control`` in a thread until it is stopped."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._names = {name: topic.full_name(prefix) for name, topic in TOPICS.items()}
        self._producer = kafka.producer(bootstrap, linger_ms=0)
        self._detectors: dict[str, StoredDetector] = {}
        self._jobs: dict[str, StoredJob] = {}
        self._tasks: dict[str, StoredTask] = {}
        self._offsets: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; commands written from now on are carried out."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = kafka.consumer(self._bootstrap, fetch_wait_max_ms=20)
        consumer.assign([TopicPartition(self._names["control"], 0, 0)])
        while not self._stop.is_set():
            message = consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            event = decode_event(message.value() or b"")
            self._offsets = {}
            try:
                id, document = self._carry_out(event, message.offset())  # type: ignore[arg-type]
                reply = Reply(
                    request_id=event.request_id or "",
                    detector_id=event.detector_id,
                    status=200,
                    id=id,
                    version=document.version if document is not None else 0,
                    offsets=self._offsets,
                )
            except Refused as refused:
                reply = Reply(
                    request_id=event.request_id or "",
                    detector_id=event.detector_id,
                    status=refused.status,
                    error={"type": refused.kind, "reason": refused.reason},
                )
            self._write("replies", reply.request_id, encode_reply(reply))
        consumer.close()

    def _carry_out(self, event: Command, at: int) -> tuple[str, Any]:
        id = event.detector_id
        known = self._detectors.get(id)
        if isinstance(event, DetectorPut):
            detector = parse_detector(
                event.detector, limits=DetectorLimits(), now_ms=_now(), new_id=lambda: f"f{at}", user=event.user
            )
            version = 1 if known is None else known.version + 1
            stored = StoredDetector(id=id, version=version, control_offset=at, document=stored_document(detector))
            self._detectors[id] = stored
            self._write("detectors", id, encode(stored))
            return id, stored
        if known is None:
            raise Refused(404, f"Can't find config with id: {id}")
        if isinstance(event, DetectorDelete):
            del self._detectors[id]
            self._write("detectors", id, None)
            return id, known
        if isinstance(event, JobStart | JobStop):
            return self._job(event, known, at)
        return self._history(event, known, at)

    def _job(self, event: JobStart | JobStop, detector: StoredDetector, at: int) -> tuple[str, Any]:
        id, starting, now = detector.id, isinstance(event, JobStart), _now()
        before = self._jobs.get(id)
        if before is not None and bool(before.document.enabled) == starting:
            reason = "Anomaly detector job is already running: " if starting else "job is already stopped: "
            raise Refused(200, reason + id)
        document = Job(
            name=id,
            schedule={"interval": {"start_time": now, "period": 1, "unit": "Minutes"}},
            window_delay=shown_document(detector.document)["window_delay"],
            enabled=starting,
            enabled_time=now,
            last_update_time=now,
            lock_duration_seconds=60,
            type="AD",
            disabled_time=None if starting else now,
        )
        version = 1 if before is None else before.version + 1
        job = StoredJob(id=id, version=version, control_offset=at, document=document, run=None)
        self._jobs[id] = job
        self._write("state", id, encode(job))
        self._task(f"rt-{id}", "REALTIME_SINGLE_ENTITY", "CREATED" if starting else "STOPPED", detector, at, None)
        return id, job

    def _history(self, event: HistoryStart | HistoryStop, detector: StoredDetector, at: int) -> tuple[str, Any]:
        task_id = f"hist-{detector.id}"
        before = self._tasks.get(task_id)
        if isinstance(event, HistoryStop):
            if before is None:
                raise Refused(400, "Detector not started")
            if before.document.state != "RUNNING":
                raise Refused(400, "No running task found")
            span = before.document.detection_date_range
            return task_id, self._task(task_id, "HISTORICAL_SINGLE_ENTITY", "STOPPED", detector, at, span)
        if before is not None and before.document.state == "RUNNING":
            raise Refused(400, "Config is already running")
        span = DateRange(event.start_time, event.end_time)
        self._write("scans", task_id, b"{}")  # as the real one: a topic that no view follows
        # A preview is waited for: it ends at once, with one result.
        preview = detector.id.startswith("preview-")
        if preview:
            result = Result(id="r", detector_id=detector.id, data_start_time=0, data_end_time=1, anomaly_grade=0.5)
            self._write("results", "r", encode_result(result))
        state = "FINISHED" if preview else "RUNNING"
        return task_id, self._task(task_id, "HISTORICAL_SINGLE_ENTITY", state, detector, at, span)

    def _task(
        self, id: str, kind: Any, state: Any, detector: StoredDetector, at: int, span: DateRange | None
    ) -> StoredTask:
        before = self._tasks.get(id)
        task = StoredTask(
            id=id,
            version=1 if before is None else before.version + 1,
            control_offset=at,
            document=Task(
                task_type=kind,
                state=state,
                detector_id=detector.id,
                is_latest=True,
                task_progress=0.0,
                init_progress=0.0,
                execution_start_time=_now(),
                last_update_time=_now(),
                detection_date_range=span,
                detector=detector.document,
            ),
        )
        self._tasks[id] = task
        self._write("state", id, encode(task))
        return task

    def _write(self, topic: str, key: str, value: bytes | None) -> None:
        def delivered(_error: Any, message: Any) -> None:
            self._offsets[topic] = message.offset()

        self._producer.produce(self._names[topic], value, key=key, partition=0, on_delivery=delivered)
        self._producer.flush(REQUEST)


def _now() -> int:
    return int(time.time() * 1000)
