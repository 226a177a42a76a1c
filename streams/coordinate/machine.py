"""The coordinator's decisions: one control event after the other, without Kafka and without a clock.

The legal transitions of a task are the table in ``streams.coordinate.tasks``.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

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

log = structlog.get_logger()

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
    control offset is not above that of the last one has no effect.
    """

    def __init__(self, limits: CoordinatorLimits, node_id: str) -> None:
        self.state = CoordinatorState()
        self.limits = limits
        self._node_id = node_id

    def observe(self, record: Record) -> None:
        """Take in a record of the topic state that somebody else wrote: the scorer's entity tasks.

        Records of other kinds are the machine's own and change nothing. Raises what an unreadable one leads to.
        """
        if record.value is None:
            self.state.forget_child(record.key)
            return
        document = stored.decode_state(record.value)
        if isinstance(document, StoredTask) and document.document.parent_task_id is not None:
            self.state.fold("state", record.key, document)

    def tidy(self, most: int) -> tuple[Record, ...]:
        """The ends of entity tasks whose parents are gone, at most so many at one time.

        They follow their parents' ends instead of coming with them: there may be hundreds of thousands. What is left
        to do can be told from the state alone, so a coordinator that takes over half way finishes it.
        """
        records = tuple(Record("state", key, None) for key in self.state.orphans(most))
        for record in records:
            self.state.forget_child(record.key)
        return records

    def apply(self, event: Event, context: Context) -> Effects:
        """Decide about one event and take its effects into the state."""
        if context.control_offset <= self.state.offset:
            return Effects()
        step = Step(self.state, self.limits, self._node_id, context, event.detector_id, event.user)
        self.state.offset = context.control_offset
        try:
            answer = _decide(step, event)
        except Refused as refused:
            return _refusal(event, refused)
        except Exception as error:
            # Whoever fails on an event fails on it again after a restart: nothing would be carried out any more.
            log.exception("an event could not be decided", type=type(event).__name__, offset=context.control_offset)
            return _refusal(event, Refused(500, f"It can't be carried out: {error!r}", "internal_server_error"))
        records = self._take_in(step)
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
                step = Step(self.state, self.limits, self._node_id, context, task.document.detector_id, None)
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
