"""A coordinator without Kafka: the machine, and logs in which its records lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas import state as stored
from schemas.command import (
    DetectorDelete,
    DetectorPut,
    Event,
    HistoryStart,
    HistoryStop,
    JobStart,
    JobStop,
    Progress,
    Reply,
    SourceReport,
    TaskProgress,
    User,
)
from schemas.scan import Scan, decode_scan
from schemas.state import POSITION_KEY, Position, StoredJob, StoredTask
from schemas.task import HISTORICAL_TYPES, REALTIME_TYPES, Job, Task
from streams.coordinate.machine import Effects, Machine
from streams.coordinate.state import Record
from streams.coordinate.step import Context, CoordinatorLimits
from tests.schemas.documents import detector

ADA = User(name="ada", backend_roles=["ops"])
SOURCES = {"srv": {0: 10, 1: 20}}
RANGES = {"srv": {0: (0, 100), 1: (0, 0)}}
LIMITS = CoordinatorLimits(model_partitions=2)


class Coordinator:
    """Sends events to a machine, one control offset after the other, and keeps what it writes."""

    def __init__(self, limits: CoordinatorLimits = LIMITS) -> None:
        self.limits = limits
        self.machine = Machine(limits, "node-1")
        self.log: list[tuple[Record, int]] = []
        self.scans: list[Scan] = []
        self.offset = 0
        self.now = 1_000_000

    def send(self, event: Event, **context: Any) -> Effects:
        """Apply an event and write what comes of it, as the shell does."""
        self.offset += 1
        self.now += 1000
        effects = self.machine.apply(
            event,
            Context(
                **{
                    "now_ms": self.now,
                    "control_offset": self.offset,
                    "sources": SOURCES,
                    "ranges": RANGES,
                    **context,
                }
            ),
        )
        for record in effects.records:
            if record.topic == "scans":
                assert record.value is not None
                self.scans.append(decode_scan(record.value))
            else:
                self.machine.state.seen(record.topic, record.key, self.write(record))
        self.write(Record("state", POSITION_KEY, stored.encode(Position(control_offset=self.offset))))
        return effects

    def write(self, record: Record) -> int:
        """Append to the log; returns the offset."""
        offset = sum(other.topic == record.topic for other, _ in self.log)
        self.log.append((record, offset))
        return offset

    def ask(self, event: Event, **context: Any) -> Reply:
        """The reply to a command."""
        reply = self.send(event, **context).reply
        assert reply is not None
        return reply

    def put(self, detector_id: str = "d1", mode: Any = "upsert", **members: Any) -> Reply:
        """Put a detector whose name is its id."""
        options = {name: members.pop(name) for name in ("if_seq_no", "if_primary_term") if name in members}
        document = detector(**{"name": detector_id, **members})
        return self.ask(
            DetectorPut(detector_id=detector_id, request_id="r", user=ADA, detector=document, mode=mode, **options)
        )

    def delete(self, detector_id: str = "d1") -> Reply:
        return self.ask(DetectorDelete(detector_id=detector_id, request_id="r"))

    def start(self, detector_id: str = "d1", **context: Any) -> Reply:
        return self.ask(JobStart(detector_id=detector_id, request_id="r", user=ADA), **context)

    def stop(self, detector_id: str = "d1") -> Reply:
        return self.ask(JobStop(detector_id=detector_id, request_id="r", user=ADA))

    def analyse(self, detector_id: str = "d1", start: int = 0, end: int = 6_000_000, **context: Any) -> Reply:
        return self.ask(
            HistoryStart(detector_id=detector_id, request_id="r", user=ADA, start_time=start, end_time=end),
            **context,
        )

    def cancel(self, detector_id: str = "d1") -> Reply:
        return self.ask(HistoryStop(detector_id=detector_id, request_id="r", user=ADA))

    def rows(self, rows: int, partition: int = 0, error: str = "", run: int | None = None) -> Effects:
        """A worker's word on the run of d1."""
        if run is None:
            run = self.run
        return self.send(Progress(detector_id="d1", run=run, partition=partition, rows=rows, node_id="n", error=error))

    def report(self, topic: str = "srv", partition: int = 0, **members: Any) -> tuple[Record, ...]:
        """A source's report on the run of d1; what is written when the coordinator next looks, ten seconds later."""
        given = {"detector_id": "d1", "run": self.run, "node_id": "n", **members}
        assert self.send(SourceReport(topic=topic, partition=partition, **given)).records == ()
        self.now += 10_000
        records = self.machine.flush(self.now)
        for record in records:
            self.write(record)
        return records

    def scored(self, task_id: str, partition: int, rows: int, done: bool = False, until: int | None = None) -> Effects:
        """The scorer's word on a historical task of d1."""
        return self.send(
            TaskProgress(
                detector_id="d1", task_id=task_id, partition=partition, rows=rows, entities=1, windows=rows,
                anomalies=0, scored_until=until, done=done, node_id="n",
            )
        )  # fmt: skip

    @property
    def run(self) -> int:
        """The id of d1's run."""
        run = self.stored_job.run
        assert run is not None
        return run.id

    @property
    def stored_job(self) -> StoredJob:
        return self.machine.state.jobs["d1"]

    @property
    def job(self) -> Job:
        return self.stored_job.document

    @property
    def realtime(self) -> Task:
        task = self.machine.state.realtime_task("d1")
        assert task is not None
        return task.document

    @property
    def historical(self) -> StoredTask:
        task = self.machine.state.historical_task("d1")
        assert task is not None
        return task

    def tasks(self, types: frozenset[str] = REALTIME_TYPES | HISTORICAL_TYPES) -> list[StoredTask]:
        return self.machine.state.tasks_of("d1", types)


def restored(log: Iterable[tuple[Record, int]], limits: CoordinatorLimits = LIMITS) -> Machine:
    """A machine that has read a log."""
    machine = Machine(limits, "node-2")
    for record, offset in log:
        machine.state.restore(record, offset)
    machine.state.restored()
    return machine


def reason(reply: Reply) -> tuple[int, str]:
    """Status and reason of an error reply."""
    assert reply.error is not None
    return reply.status, reply.error["reason"]
