"""Real-time detection: its job, its runs and its tasks.

A run begins with a cold start: its sources are read from where the last ``history`` windows begin, and after a stop
from where the run before it ended, if that is earlier. It is one run and one reading, so nothing can be missing or
double where the past meets the present; windows that the models know already are repeats to them. As OpenSearch does
since 3.1, the windows of a cold start have results like any others. Only records that were in the topics before the
start are judged by their event time: what comes later belongs to the run however old it is.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from schemas.command import Failed, JobStart, JobStop, Progress, SourceReport, Sources
from schemas.detector import SHOWN_DELAY, Detector
from schemas.errors import Refused
from schemas.state import Ledger, ModelShare, Run, StoredDetector, StoredJob, StoredTask
from schemas.task import LIVE_STATES, REALTIME_TYPES, ROWS_TO_INIT, Job, TaskState
from streams.coordinate import detectors, tasks
from streams.coordinate.reports import error_of, folded
from streams.coordinate.step import Answer, Step
from streams.kafka.extent import is_another

MAX_GAP = 10_000
"""Windows that a restart looks back at most, as OpenSearch does for ``history``."""


def require_features(detector: Detector) -> None:
    """Raise ``Refused`` (400) when there is nothing to score."""
    if not detector.feature_attributes:
        raise Refused(400, "Can't start job as no features configured")
    if not detector.enabled_features:
        raise Refused(400, "Can't start job as no enabled features configured")


def start(step: Step, command: JobStart) -> Answer:
    """Begin a run with a new task."""
    stored = detectors.find(step, command.detector_id)
    detector = detectors.parsed(step, stored.id)
    require_features(detector)
    before = step.state.jobs.get(stored.id)
    if before is not None and before.document.enabled is True:
        raise Refused(200, f"Anomaly detector job is already running: {stored.id}")
    context = step.context
    run = Run(
        id=context.control_offset,
        sources=context.sources,
        live=context.live,
        since=context.since,
        topic_ids=context.topic_ids,
    )
    version = step.put_job(stored.id, before, _job(step, stored, detector, before), run)
    tasks.create(
        step,
        stored,
        "REALTIME_HC_DETECTOR" if detector.category_field else "REALTIME_SINGLE_ENTITY",
        step.state.tasks_of(stored.id, REALTIME_TYPES),
        error=error_of(Ledger(), detector.indices, run.sources) or None,
    )
    return Answer(stored.id, version, record=("state", stored.id))


def cold_start(detector: Detector, before: StoredJob | None, now_ms: int) -> int:
    """The event time (epoch ms, at the beginning of a window) from which a run that begins now looks back."""
    interval, delay = detector.window_interval_ms, detector.window_delay_ms

    def windows_before(moment: int, windows: int) -> int:
        return ((moment - delay) // interval - windows) * interval

    since = windows_before(now_ms, detector.history)
    if before is None or before.document.disabled_time is None:
        return since
    # One more: the last window before the stop may not have been scored any more.
    gap = windows_before(before.document.disabled_time, 1)
    return min(since, max(gap, windows_before(now_ms, MAX_GAP)))


def _job(step: Step, stored: StoredDetector, detector: Detector, before: StoredJob | None) -> Job:
    interval = detector.run_interval
    return Job(
        name=stored.id,
        schedule={
            "interval": {"start_time": step.now_ms, "period": interval.interval, "unit": interval.unit},
        },
        window_delay=(detector.window_delay or SHOWN_DELAY).document(),
        enabled=True,
        enabled_time=step.now_ms,
        last_update_time=step.now_ms,
        lock_duration_seconds=interval.milliseconds // 1000,
        type="AD",
        disabled_time=None if before is None else before.document.disabled_time,
        user=step.user,
        result_index=detector.result_index,
    )


def stop(step: Step, command: JobStop) -> Answer:
    """End the run; a detector that never ran is answered like one that did."""
    stored = detectors.find(step, command.detector_id)
    job = step.state.jobs.get(stored.id)
    if job is not None:
        if job.document.enabled is not True:
            raise Refused(200, f"job is already stopped: {stored.id}")
        _disable(step, job)
        task = step.state.realtime_task(stored.id)
        if task is not None:
            by = None if step.user is None else step.user.name
            tasks.advance(step, task, "STOPPED", "stop", stopped_by=by, **_reported(step, job, task))
    return Answer(stored.id)


def _disable(step: Step, job: StoredJob) -> None:
    document = msgspec.structs.replace(
        job.document, enabled=False, disabled_time=step.now_ms, last_update_time=step.now_ms
    )
    step.put_job(job.id, job, document, None)


def _running(step: Step, detector_id: str, run: int) -> tuple[StoredJob, StoredTask] | None:
    job, task = step.state.jobs.get(detector_id), step.state.realtime_task(detector_id)
    if job is None or job.run is None or job.run.id != run or task is None or step.state.detector(job.id) is None:
        return None
    return (job, task) if task.document.state in LIVE_STATES else None


def progress(step: Step, event: Progress) -> None:
    """Take in how far the models of one partition are: the one with the most rows counts."""
    running = _running(step, event.detector_id, event.run)
    if running is None:
        return
    job, task = running
    ledger = step.state.ledger_of(task)
    rows = max(min(event.rows, ROWS_TO_INIT), ledger.models.get(event.partition, ModelShare()).rows)
    models = {**ledger.models, event.partition: ModelShare(rows=rows, error=event.error)}
    most = max(share.rows for share in models.values())
    ready = most >= ROWS_TO_INIT or task.document.state == "RUNNING"
    state: TaskState = "RUNNING" if ready else "INIT"
    tasks.advance(
        step,
        task,
        state,
        "progress",
        init_progress=1.0 if ready else most / ROWS_TO_INIT,
        estimated_minutes_left=0 if ready else _minutes_left(step, job, ROWS_TO_INIT - most),
        error=_error(step, job, ledger := msgspec.structs.replace(ledger, models=models)),
        ledger=ledger,
    )


def report(step: Step, event: SourceReport) -> None:
    """Take in what became of a source's records. It is written with the task's next record, see ``Machine.flush``."""
    running = _running(step, event.detector_id, event.run)
    if running is None:
        return
    job, task = running
    assert job.run is not None
    ledger = step.state.ledger_of(task)
    after = folded(ledger, event)
    if after != ledger and event.topic in job.run.sources:
        step.state.reported[task.id] = after


def write_reports(step: Step, task: StoredTask) -> None:
    """Write what was reported since the task's last record."""
    job = step.state.jobs.get(task.document.detector_id)
    if job is not None and task.document.state in LIVE_STATES:
        tasks.advance(step, task, task.document.state, "progress", **_reported(step, job, task))


def _reported(step: Step, job: StoredJob, task: StoredTask) -> dict[str, Any]:
    ledger = step.state.reported.get(task.id)
    return {} if ledger is None else {"ledger": ledger, "error": _error(step, job, ledger)}


def _error(step: Step, job: StoredJob, ledger: Ledger) -> str:
    assert job.run is not None
    return error_of(ledger, detectors.parsed(step, job.id).indices, job.run.sources)


def _minutes_left(step: Step, job: StoredJob, rows: int) -> int:
    return math.ceil(rows * detectors.parsed(step, job.id).window_interval_ms / 60_000)


def sources(step: Step, event: Sources) -> None:
    """Add partitions to the run; what was named first for a partition counts. An empty topic is one that is gone."""
    running = _running(step, event.detector_id, event.run)
    if running is None:
        return
    job, task = running
    assert job.run is not None
    run = job.run
    for topic, partitions in event.sources.items():
        run = _with_topic(run, topic, partitions, event.topic_ids.get(topic, ""))
    if run == job.run:
        return
    merged = run.sources
    step.put_job(job.id, job, job.document, run)
    ledger = step.state.ledger_of(task)
    error = error_of(ledger, detectors.parsed(step, job.id).indices, merged)
    if error != (task.document.error or ""):
        tasks.advance(step, task, task.document.state, "progress", ledger=ledger, error=error)


def _with_topic(run: Run, topic: str, partitions: dict[int, int], topic_id: str) -> Run:
    """The run with more partitions of a topic, with another topic of the same name, or without the topic."""
    sources, live, ids, added = dict(run.sources), dict(run.live), dict(run.topic_ids), dict(run.added)
    known = sources.pop(topic, {})
    if not partitions or is_another(ids.get(topic, ""), topic_id):
        known = {}
        for entries in (live, ids, added):
            entries.pop(topic, None)
    if partitions:
        sources[topic] = {**partitions, **known}
        if topic_id:
            ids[topic] = topic_id
        if new := partitions.keys() - known.keys():
            added[topic] = sorted({*added.get(topic, ()), *new})
    return msgspec.structs.replace(run, sources=sources, live=live, topic_ids=ids, added=added)


def failed(step: Step, event: Failed, run: int) -> None:
    """End a run that a worker cannot go on with."""
    running = _running(step, event.detector_id, run)
    if running is not None:
        job, task = running
        _disable(step, job)
        tasks.advance(step, task, "FAILED", "fail", error=f"Stopped analysis: {event.error}")
