"""What the compacted topics ``detectors`` and ``state`` hold: documents in an envelope.

``version`` counts the document's updates (the API's ``_version``); ``control_offset`` is the offset of the
control event that caused this state. A deleted document is a tombstone (a record without a value).
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.task import Job, Task


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of real-time detection, from a start to its stop.

    ``id`` is the control offset of the start command: a later run of the same detector has a higher one.
    ``sources`` gives, for each topic and partition, the offset of the first record to read. Of those before the
    offset in ``live`` (what was there when the run began) only the ones with an event time from ``since`` on belong
    to it: the cold start. ``topic_ids`` are the ids of the topics whose offsets these are; another topic of the same
    name is read from its beginning. ``added`` are the partitions that came while the run was under way.
    """

    id: int
    sources: dict[str, dict[int, int]]
    live: dict[str, dict[int, int]] = {}
    since: int | None = None
    topic_ids: dict[str, str] = {}
    added: dict[str, list[int]] = {}


class StoredDetector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector configuration. ``document`` is what the API shows as ``anomaly_detector``."""

    id: str
    version: int
    control_offset: int
    document: dict[str, Any]


class StoredJob(msgspec.Struct, frozen=True, kw_only=True, tag="job", tag_field="kind"):
    """A job. ``run`` is the current run while the job is enabled, else None."""

    id: str
    version: int
    control_offset: int
    document: Job
    run: Run | None


class ScanShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source partition's part of a historical task: ``[begin, end)`` is to be read, ``offset`` comes next."""

    begin: int
    end: int
    offset: int
    records: int = 0
    late: int = 0
    missing: str = ""
    done: bool = False


class ModelShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one model partition said about a task. ``rows`` counts up to ``ROWS_TO_INIT`` only."""

    rows: int = 0
    entities: int = 0
    error: str = ""
    left_out: int = 0
    scored_until: int | None = None
    done: bool = False


class SourceShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was reported about one source partition of a real-time run: see ``schemas.command.SourceReport``."""

    epoch: int = 0
    late: int = 0
    unread: int = 0
    dead_letters: dict[str, int] = {}
    note: str = ""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers reported on a running task, by topic and partition and by model partition.

    ``run`` is the control offset of the command that started a historical task: the run of its partials. ``sources``
    holds what the source partitions of a real-time run reported; of very many, those with the most to report.
    """

    run: int = 0
    scans: dict[str, dict[int, ScanShare]] = {}
    models: dict[int, ModelShare] = {}
    sources: dict[str, dict[int, SourceShare]] = {}


class StoredTask(msgspec.Struct, frozen=True, kw_only=True, tag="task", tag_field="kind"):
    """A task, under its random id. ``ledger`` is there while the coordinator leads it."""

    id: str
    version: int
    control_offset: int
    document: Task
    ledger: Ledger | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True, tag="position", tag_field="kind"):
    """The last control event that was carried out, written in one transaction with what events led to.

    A coordinator that takes over goes on after it: no event is carried out twice, and none is left out.
    """

    control_offset: int


HIDDEN = "preview-"
"""Ids of detectors that begin so belong to previews: no view shows them, and no limit counts them."""

POSITION_KEY = "coordinator/position"
"""Key of the position in the state topic: no id of a detector or task has a slash."""

State = StoredJob | StoredTask | Position

_state_decoder: msgspec.json.Decoder[State] = msgspec.json.Decoder(State)
_detector_decoder = msgspec.json.Decoder(StoredDetector)
_encoder = msgspec.json.Encoder()


def decode_state(value: bytes) -> State:
    """Read a record of the state topic."""
    return _state_decoder.decode(value)


def decode_detector(value: bytes) -> StoredDetector:
    """Read a record of the detectors topic."""
    return _detector_decoder.decode(value)


def encode(document: State | StoredDetector) -> bytes:
    """Write a record of either topic."""
    return _encoder.encode(document)
