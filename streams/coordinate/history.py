"""Historical analysis: a task, its scans and its end."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.command import Failed, HistoryStart, HistoryStop, ScanProgress, TaskProgress
from schemas.errors import Refused
from schemas.scan import Scan
from schemas.state import Ledger, ModelShare, ScanShare, StoredTask
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, ROWS_TO_INIT, TOO_LITTLE, DateRange, TaskState
from streams.coordinate import detectors, tasks
from streams.coordinate.jobs import require_features
from streams.coordinate.step import Answer, Step

NO_DATA = "There is no data in the detection date range"
CANCELLED = "Historical analysis cancelled by user"

_ALMOST = 0.999
"""Progress shown before the last window is scored: 1 means finished."""


def start(step: Step, command: HistoryStart) -> Answer:
    """Begin the analysis of a range: one scan for each partition that has records to read."""
    if command.start_time > command.end_time:
        raise Refused(400, "Detection data range's end time must be after start time", "illegal_argument_exception")
    stored = detectors.find(step, command.detector_id)
    detector = detectors.parsed(step, stored.id)
    require_features(detector)
    before = step.state.historical_task(stored.id)
    if before is not None and before.document.state in LIVE_STATES:
        raise Refused(400, "Config is already running")
    if step.state.live_historical_tasks() >= step.limits.max_historical_tasks:
        raise Refused(400, "No available task slot")
    task = tasks.create(
        step,
        stored,
        "HISTORICAL_HC_DETECTOR" if detector.category_field else "HISTORICAL_SINGLE_ENTITY",
        step.state.tasks_of(stored.id, HISTORICAL_TYPES),
        DateRange(command.start_time, command.end_time),
        ledger=_open(step),
    )
    if not step.context.ranges:
        names = ", ".join(detector.indices)
        error = f"[{names}] IndexNotFoundException[no such index [{names}]]"
        tasks.advance(step, task, "FAILED", "fail", error=error)
    elif not any(begin < end for each in step.context.ranges.values() for begin, end in each.values()):
        tasks.advance(step, task, "FAILED", "fail", error=NO_DATA)
    else:
        _ask(step, task)
    return Answer(task.id, 1, record=("state", task.id))


def _open(step: Step) -> Ledger:
    return Ledger(
        run=step.context.control_offset,
        scans={
            topic: {
                partition: ScanShare(begin=begin, end=end, offset=begin, done=begin >= end)
                for partition, (begin, end) in partitions.items()
            }
            for topic, partitions in step.context.ranges.items()
        },
    )


def _ask(step: Step, task: StoredTask) -> None:
    date_range = task.document.detection_date_range
    assert date_range is not None
    for topic, partitions in sorted(step.context.ranges.items()):
        for partition, (begin, end) in sorted(partitions.items()):
            # A partition without records is scanned, too: the scorer waits for the end of every source.
            step.scan(
                Scan(
                    task_id=task.id,
                    detector_id=task.document.detector_id,
                    topic=topic,
                    partition=partition,
                    offset=begin,
                    end_offset=max(begin, end),
                    start_time=date_range.start_time,
                    end_time=date_range.end_time,
                    run=step.context.control_offset,
                    topic_id=step.context.topic_ids.get(topic, ""),
                )
            )


def stop(step: Step, command: HistoryStop) -> Answer:
    """End the running analysis."""
    stored = detectors.find(step, command.detector_id)
    task = step.state.historical_task(stored.id)
    if task is None:
        raise Refused(400, "Detector not started")
    if task.document.state not in LIVE_STATES:
        raise Refused(400, "No running task found")
    by = None if step.user is None else step.user.name
    tasks.advance(step, task, "STOPPED", "stop", error=CANCELLED, stopped_by=by)
    return Answer(task.id)


def scan_progress(step: Step, event: ScanProgress) -> None:
    """Take in how far one source was read. An older report than the last one changes nothing."""
    task = _live(step, event.detector_id, event.task_id)
    if task is None:
        return
    ledger = task.ledger or Ledger()
    share = ledger.scans.get(event.topic, {}).get(event.partition)
    if share is None or (event.offset, event.done) < (share.offset, share.done):
        return
    share = msgspec.structs.replace(
        share,
        offset=event.offset,
        records=event.records,
        late=event.late,
        missing=event.missing,
        done=event.done or share.done,
    )
    scans = {**ledger.scans, event.topic: {**ledger.scans[event.topic], event.partition: share}}
    _advance(step, task, msgspec.structs.replace(ledger, scans=scans), event.node_id)


def task_progress(step: Step, event: TaskProgress) -> None:
    """Take in how far the models of one partition are. What was done once stays done."""
    task = _live(step, event.detector_id, event.task_id)
    if task is None or not 0 <= event.partition < step.limits.model_partitions:
        return
    ledger = task.ledger or Ledger()
    before = ledger.models.get(event.partition, ModelShare())
    if before.done:
        return
    share = ModelShare(
        rows=max(before.rows, min(event.rows, ROWS_TO_INIT)),
        entities=max(before.entities, event.entities),
        left_out=max(before.left_out, event.left_out),
        scored_until=_later(before.scored_until, event.scored_until),
        done=event.done,
    )
    models = {**ledger.models, event.partition: share}
    _advance(step, task, msgspec.structs.replace(ledger, models=models), event.node_id)


def failed(step: Step, event: Failed, task_id: str) -> None:
    """End a task that a worker cannot go on with."""
    task = _live(step, event.detector_id, task_id)
    if task is not None:
        tasks.advance(step, task, "FAILED", "fail", error=event.error)


def _live(step: Step, detector_id: str, task_id: str) -> StoredTask | None:
    task = step.state.tasks.get(task_id)
    if task is None or task.document.detector_id != detector_id:
        return None
    if task.document.task_type not in HISTORICAL_TYPES or task.document.state not in LIVE_STATES:
        return None
    return task


def _advance(step: Step, task: StoredTask, ledger: Ledger, node_id: str) -> None:
    shares = [share for partitions in ledger.scans.values() for share in partitions.values()]
    models = ledger.models.values()
    rows = max((share.rows for share in models), default=0)
    scored = [share.scored_until for share in models if share.scored_until is not None]
    several = task.document.task_type == "HISTORICAL_HC_DETECTOR"
    changes: dict[str, Any] = {"ledger": ledger}
    if not several:
        # As in OpenSearch, an analysis of many entities leaves these two to the entities' tasks.
        changes["init_progress"] = rows / ROWS_TO_INIT
        changes["worker_node"] = task.document.worker_node or node_id
    if scored:
        changes["current_piece"] = max(scored)
    elif not several and task.document.detection_date_range is not None:
        changes["current_piece"] = task.document.detection_date_range.start_time
    if all(share.done for share in shares) and _all_scored(step, ledger):
        _end(step, task, shares, rows, changes)
        return
    wanted = sum(share.end - share.begin for share in shares)
    read = sum(min(share.offset, share.end) - share.begin for share in shares)
    before = task.document.task_progress
    changes["task_progress"] = max(before or 0.0, min(read / wanted, _ALMOST))
    state: TaskState = "RUNNING" if several or rows >= ROWS_TO_INIT else "INIT"
    tasks.advance(step, task, state, "progress", **changes)


def _later(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)


def _all_scored(step: Step, ledger: Ledger) -> bool:
    wanted = range(step.limits.model_partitions)
    return all(partition in ledger.models and ledger.models[partition].done for partition in wanted)


def _remarks(shares: list[ScanShare], ledger: Ledger) -> list[str]:
    remarks = sorted({share.missing for share in shares if share.missing})
    late = sum(share.late for share in shares)
    if late:
        remarks.append(f"{late} records came after their window had closed: a longer window_delay would take them in")
    left_out = sum(share.left_out for share in ledger.models.values())
    if left_out:
        remarks.append(f"{left_out} rows of entities beyond max_entities_per_task were left out")
    return remarks


def _end(step: Step, task: StoredTask, shares: list[ScanShare], rows: int, changes: dict[str, Any]) -> None:
    missing = "; ".join(_remarks(shares, changes["ledger"]))
    if not any(share.records for share in shares):
        reason = NO_DATA
    elif rows < ROWS_TO_INIT:
        reason = TOO_LITTLE
    else:
        # OpenSearch shows an empty error on the parent only.
        several = task.document.task_type == "HISTORICAL_HC_DETECTOR"
        error = missing or ("" if several else None)
        tasks.advance(step, task, "FINISHED", "finish", task_progress=1.0, error=error, **changes)
        return
    tasks.advance(step, task, "FAILED", "fail", error=f"{reason}; {missing}" if missing else reason, **changes)
