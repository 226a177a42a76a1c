"""The control topic: commands that anyone may write, internal events that workers write, and the replies.

Everything is JSON with a ``type`` and a ``version`` (1 when left out). Commands:

    {"type": "detector.put",    "detector_id": "…", "detector": {…}, "mode": "create" | "update" | "upsert"}
    {"type": "detector.delete", "detector_id": "…"}
    {"type": "job.start",       "detector_id": "…", "from": "now" | "earliest"}
    {"type": "job.stop",        "detector_id": "…"}
    {"type": "history.start",   "detector_id": "…", "start_time": ms, "end_time": ms}
    {"type": "history.stop",    "detector_id": "…"}

Each may carry ``request_id`` (the outcome is then on the replies topic under that key) and ``user``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

VERSION = 1


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asked. The same shape as OpenSearch's ``user`` member."""

    name: str
    backend_roles: list[str] = []
    roles: list[str] = []
    custom_attribute_names: list[str] = []
    user_requested_tenant: str | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    detector_id: str
    version: int = VERSION
    request_id: str | None = None
    user: User | None = None


class DetectorPut(_Event, tag="detector.put", frozen=True, kw_only=True):
    """Create or replace a detector. ``create`` refuses a known id, ``update`` an unknown one."""

    detector: dict[str, Any]
    mode: Literal["create", "update", "upsert"] = "upsert"
    if_seq_no: int | None = None
    if_primary_term: int | None = None


class DetectorDelete(_Event, tag="detector.delete", frozen=True, kw_only=True):
    """Delete a detector with its job and tasks. Refused while a job or a historical task runs."""


class JobStart(_Event, tag="job.start", frozen=True, kw_only=True):
    """Start real-time detection with the records that come from now on, or from the topics' beginning."""

    from_: Literal["now", "earliest"] = msgspec.field(default="now", name="from")


class JobStop(_Event, tag="job.stop", frozen=True, kw_only=True):
    """Stop real-time detection; the models are kept."""


class HistoryStart(_Event, tag="history.start", frozen=True, kw_only=True):
    """Analyse the records with event times in ``[start_time, end_time)`` (epoch ms)."""

    start_time: int
    end_time: int


class HistoryStop(_Event, tag="history.stop", frozen=True, kw_only=True):
    """Stop the running historical analysis."""


class Progress(_Event, tag="progress", frozen=True, kw_only=True):
    """A worker's word on one run: the most rows a model of one model partition has seen, and its last error.

    ``run`` is the run that is meant, so that a late word on an older run changes nothing.
    """

    run: int
    partition: int
    rows: int
    node_id: str
    error: str = ""


class Sources(_Event, tag="sources", frozen=True, kw_only=True):
    """The partitions of a running detector's topics changed: where reading each new one begins.

    ``topic_ids`` are the ids of the topics: where the run knows another one, the topic was deleted and made anew.
    """

    run: int
    sources: dict[str, dict[int, int]]
    topic_ids: dict[str, str] = {}


class SourceReport(_Event, tag="source.report", frozen=True, kw_only=True):
    """What became of the records of one source partition in one real-time run, and what hinders it.

    ``late`` counts the records whose window had closed before they came, ``unread`` those that retention deleted
    before they were read, ``dead_letters`` by reason those that could not be used: each since the run began to read the
    partition. ``note`` is a sentence for people that names the topic (it was made anew, it trails the others), empty
    when there is nothing to say any more.

    The owner of a source reports when something has changed, at most every ten seconds, and after every takeover
    whatever there is to report. ``epoch`` is the owner's: a report of an older one changes nothing.
    """

    run: int
    topic: str
    partition: int
    node_id: str
    epoch: int = 0
    late: int = 0
    unread: int = 0
    dead_letters: dict[str, int] = {}
    note: str = ""


class ScanProgress(_Event, tag="scan.progress", frozen=True, kw_only=True):
    """How far the scan of one source partition of a task is.

    ``offset`` is the next offset to read, ``current`` the event time reached (ms, None before the first
    record), ``late`` counts the records of windows that had closed before they came, ``missing`` says which part of
    the range the topic no longer holds.
    """

    task_id: str
    topic: str
    partition: int
    offset: int
    records: int
    current: int | None
    done: bool
    node_id: str
    missing: str = ""
    late: int = 0


class TaskProgress(_Event, tag="task.progress", frozen=True, kw_only=True):
    """How far the models of one model partition of a historical task are, and whether all windows are scored.

    ``left_out`` counts the rows of entities beyond the most that a task may have.
    """

    task_id: str
    partition: int
    rows: int
    entities: int
    windows: int
    anomalies: int
    scored_until: int | None
    done: bool
    node_id: str
    left_out: int = 0


class Failed(_Event, tag="failed", frozen=True, kw_only=True):
    """A worker cannot go on with a run or task; it ends with this error."""

    error: str
    run: int | None = None
    task_id: str | None = None


Command = DetectorPut | DetectorDelete | JobStart | JobStop | HistoryStart | HistoryStop
Event = Command | Progress | Sources | SourceReport | ScanProgress | TaskProgress | Failed


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a command.

    ``offsets`` names, by topic (``detectors``, ``state``), the offset a view must have passed to see the
    outcome. ``error`` is ``{"type", "reason"}`` when the command was refused; ``status`` is then its HTTP
    status (200 for OpenSearch's "already running").
    """

    request_id: str
    detector_id: str
    status: int
    id: str = ""
    version: int = 0
    seq_no: int = 0
    error: dict[str, str] | None = None
    offsets: dict[str, int] = {}


_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()
_reply_decoder = msgspec.json.Decoder(Reply)


def decode_event(value: bytes) -> Event:
    """Read a record of the control topic. Raises ``msgspec.DecodeError`` or ``ValidationError``.

    >>> decode_event(b'{"type":"job.start","detector_id":"d1"}').from_
    'now'
    """
    return _decoder.decode(value)


def encode_event(event: Event) -> bytes:
    """Write a record of the control topic."""
    return _encoder.encode(event)


def decode_reply(value: bytes) -> Reply:
    """Read a record of the replies topic."""
    return _reply_decoder.decode(value)


def encode_reply(reply: Reply) -> bytes:
    """Write a record of the replies topic."""
    return _encoder.encode(reply)
