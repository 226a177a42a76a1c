"""The coordinator's decisions: one control event after the other, without Kafka and without a clock.

The legal transitions of a task are the table in ``streams.coordinate.tasks``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas import state as stored
from schemas.command import (
    VERSION,
    Command,
    DetectorDelete,
    DetectorPut,
    Event,
    Failed,
    HistoryStart,
    HistoryStop,
    JobStart,
    JobStop,
    Progress,
    Reply,
    ScanProgress,
    SourceReport,
    Sources,
    TaskProgress,
)
from schemas.deadletter import Reason
from schemas.errors import DetectorInvalid, Refused
from schemas.scan import Scan, encode_scan
from schemas.state import StoredTask
from streams.coordinate import detectors, history, jobs
from streams.coordinate.state import CoordinatorState, Record
from streams.coordinate.step import Answer, Context, CoordinatorLimits, Step, Write

_LIFE_CYCLE = ("status_exception", "version_conflict_engine_exception")

REPORT_PAUSE_MS = 5_000
"""A hundred sources that report every few seconds must not be as many records of a task."""


@dataclass(frozen=True)
class Effects:
    """What an event leads to: all of it or nothing.

    ``records`` are to be written in this order. ``reply`` lacks what only writing tells: its ``offsets``, and
    its ``seq_no`` where ``seq_no_of`` names topic and key of the record whose offset it is (without one, 0
    stays). ``dead_letter`` is a reason and a sentence about the command.
    """

    records: tuple[Record, ...] = ()
    reply: Reply | None = None
    seq_no_of: tuple[str, str] | None = None
    dead_letter: tuple[Reason, str] | None = None


class Machine:
    """Decides what a control event does to detectors, jobs and tasks.

    Deterministic: the same events with the same contexts lead to the same records and ids. An event whose
    control offset is not above that of the last change has no effect.
    """

    def __init__(self, limits: CoordinatorLimits, node_id: str) -> None:
        self.state = CoordinatorState()
        self._limits = limits
        self._node_id = node_id

    def restore(self, records: Iterable[tuple[Record, int]]) -> None:
        """Read back what the topics detectors and state hold: records with their offsets, each topic in order."""
        for record, offset in records:
            self.state.restore([record])
            self.state.seen(record.topic, record.key, offset)

    def seen(self, topic: str, key: str, offset: int) -> None:
        """Note the offset of a record that was written: it is the document's seq_no."""
        self.state.seen(topic, key, offset)

    def observe(self, record: Record) -> tuple[Record, ...]:
        """Take in a record of the topic state that somebody else wrote: the scorer's entity tasks.

        Returns the records that must follow: the end of an entity task whose parent is gone. Records of other
        kinds are the machine's own and change nothing.
        """
        if record.value is None:
            self.state.forget_child(record.key)
            return ()
        document = stored.decode_state(record.value)
        if not isinstance(document, StoredTask) or document.document.parent_task_id is None:
            return ()
        if document.document.parent_task_id not in self.state.tasks:
            return (Record("state", record.key, None),)
        self.state.fold("state", record.key, document)
        return ()

    def apply(self, event: Event, context: Context) -> Effects:
        """Decide about one event and take its effects into the state."""
        if context.control_offset <= self.state.offset:
            return Effects()
        step = Step(self.state, self._limits, self._node_id, context, event.detector_id, event.user)
        try:
            answer = _decide(step, event)
        except Refused as refused:
            return _refusal(event, refused)
        records = self._take_in(step)
        if records:
            # Tombstones carry no offset of their own.
            self.state.offset = context.control_offset
        return Effects(
            records=records,
            reply=_reply(event, answer),
            seq_no_of=None if answer is None else answer.record,
        )

    def flush(self, now_ms: int) -> tuple[Record, ...]:
        """The tasks whose sources have reported something, each written at most every ``REPORT_PAUSE_MS``."""
        records: list[Record] = []
        for task in [self.state.tasks[key] for key in self.state.reported]:
            if task.document.last_update_time + REPORT_PAUSE_MS <= now_ms:
                context = Context(now_ms=now_ms, control_offset=self.state.offset)
                step = Step(self.state, self._limits, self._node_id, context, task.document.detector_id, None)
                jobs.write_reports(step, task)
                records += self._take_in(step)
                self.state.reported.pop(task.id, None)
        return tuple(records)

    def _take_in(self, step: Step) -> tuple[Record, ...]:
        for write in step.writes:
            if not isinstance(write.document, Scan):
                self.state.fold(write.topic, write.key, write.document)
        return tuple(Record(write.topic, write.key, _encode(write)) for write in step.writes)


def _decide(step: Step, event: Event) -> Answer | None:
    if event.version != VERSION:
        raise Refused(
            400, f"version [{event.version}] is not supported, this release reads {VERSION}", "parsing_exception"
        )
    match event:
        case DetectorPut():
            return detectors.put(step, event)
        case DetectorDelete():
            return detectors.delete(step, event)
        case JobStart():
            return jobs.start(step, event)
        case JobStop():
            return jobs.stop(step, event)
        case HistoryStart():
            return history.start(step, event)
        case HistoryStop():
            return history.stop(step, event)
        case Progress():
            jobs.progress(step, event)
        case Sources():
            jobs.sources(step, event)
        case SourceReport():
            jobs.report(step, event)
        case ScanProgress():
            history.scan_progress(step, event)
        case TaskProgress():
            history.task_progress(step, event)
        case Failed(task_id=str(task_id)):
            history.failed(step, event, task_id)
        case Failed(run=int(run)):
            jobs.failed(step, event, run)
    return None


def _encode(write: Write) -> bytes | None:
    if write.document is None:
        return None
    return encode_scan(write.document) if isinstance(write.document, Scan) else stored.encode(write.document)


def _reply(event: Event, answer: Answer | None) -> Reply | None:
    if answer is None or event.request_id is None:
        return None
    return Reply(
        request_id=event.request_id,
        detector_id=event.detector_id,
        status=answer.status,
        id=answer.id,
        version=answer.version,
    )


def _refusal(event: Event, refused: Refused) -> Effects:
    reply = None
    if event.request_id is not None:
        reply = Reply(
            request_id=event.request_id,
            detector_id=event.detector_id,
            status=refused.status,
            error={"type": refused.kind, "reason": refused.reason},
        )
    if refused.status < 400 or not isinstance(event, Command):
        return Effects(reply=reply)
    malformed = isinstance(refused, DetectorInvalid) or refused.kind not in _LIFE_CYCLE
    return Effects(reply=reply, dead_letter=("bad-command" if malformed else "refused-command", refused.reason))
