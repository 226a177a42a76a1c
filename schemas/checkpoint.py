"""Snapshots that a worker reads back: models (topic ``checkpoints``) and open windows (topic ``windows``).

Both are msgpack arrays with a version in front. A wrong version is refused, never misread.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from schemas.errors import UnknownVersion

VERSION = 1


class ModelCheckpoint(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One model as it stood after the window that ends at ``last_end``.

    ``definition`` identifies the quantity that it has learned (``streams.features.plan.Plan.definition``);
    ``used_at`` is when it last scored, in epoch ms. ``state`` is the forest's own record, with its own header.
    """

    version: int = VERSION
    owner: str
    entity: str
    definition: str
    run: int
    last_end: int
    used_at: int
    state: bytes


class OpenWindow(msgspec.Struct, frozen=True, array_like=True):
    """The accumulators of a window that is still open: raw float64 arrays, one a column."""

    end: int
    entities: list[str]
    columns: list[bytes]


class WatermarkState(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far the event time of a run on a source has come: what ``streams/ingest/watermark.py`` needs to go on.

    Times are epoch ms, ``held_since`` and ``held_until`` by Kafka's clock. ``ahead`` are the last records ahead of the
    watermark, at most three, ``disorder`` and ``lag`` the peaks from which the automatic delay falls.
    """

    time: int | None
    frontier: int
    ahead: list[int]
    ahead_from: int | None
    disorder: int | None
    lag: int | None
    held_since: int | None
    held_until: int | None


class RunCheckpoint(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One run's windowing of one source: exactly the fold of the records before ``offset``.

    ``closed_until`` is the end of the last window that was closed and sent. ``unread`` counts the records that were
    deleted before they were read, ``dead_letters`` by reason those that could not be used, ``counts`` what does
    not count without being one (``streams.ingest.run_decoder``); ``note`` is what is to be said about
    the source to people.
    """

    owner: str
    run: int
    offset: int
    watermark: WatermarkState
    closed_until: int
    late: int
    records: int
    unread: int = 0
    dead_letters: dict[str, int] = {}
    counts: dict[str, int] = {}
    note: str = ""
    windows: list[OpenWindow]


class SourceCheckpoint(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A part of the checkpoint of one source partition.

    A checkpoint is written as ``parts`` records; ``number`` counts the checkpoints of the source, ``epoch`` is that of
    the owner who took it. ``topic_id`` is that of the topic whose offsets these are: another one of the same name has
    other records at them.
    """

    version: int = VERSION
    topic: str
    partition: int
    epoch: int
    number: int
    offset: int
    part: int
    parts: int
    runs: list[RunCheckpoint]
    topic_id: str = ""


_encoder = msgspec.msgpack.Encoder()
_model_decoder = msgspec.msgpack.Decoder(ModelCheckpoint)
_source_decoder = msgspec.msgpack.Decoder(SourceCheckpoint)


def encode(checkpoint: ModelCheckpoint | SourceCheckpoint) -> bytes:
    """Write a record of either topic."""
    return _encoder.encode(checkpoint)


def decode_model(value: bytes) -> ModelCheckpoint:
    """Read a record of the checkpoints topic. Raises ``UnknownVersion`` or ``msgspec.DecodeError``."""
    return _checked(_model_decoder.decode(value))


def decode_source(value: bytes) -> SourceCheckpoint:
    """Read a record of the windows topic. Raises ``UnknownVersion`` or ``msgspec.DecodeError``."""
    return _checked(_source_decoder.decode(value))


_T = TypeVar("_T", ModelCheckpoint, SourceCheckpoint)


def _checked(checkpoint: _T) -> _T:
    if checkpoint.version != VERSION:
        raise UnknownVersion(f"checkpoint of version {checkpoint.version}, this release reads {VERSION}")
    return checkpoint
