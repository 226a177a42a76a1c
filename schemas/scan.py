"""The topic scans: bounded reads to do, one a record, and the checkpoints of those that are under way.

Scans are JSON. Checkpoints are msgpack, as those of sources, in the topic ``windows``.
"""

from __future__ import annotations

import msgspec

from schemas.checkpoint import RunCheckpoint
from schemas.errors import UnknownVersion

VERSION = 1


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """Read the records ``[offset, end_offset)`` of one source partition for one task.

    Those with an event time in ``[start_time, end_time)`` are windowed for models that ``task_id`` owns. The
    detector is the snapshot in the task's document; ``run`` is the control offset of the command that started it.
    ``topic_id`` is that of the topic whose offsets these are.
    """

    version: int = VERSION
    task_id: str
    detector_id: str
    topic: str
    partition: int
    offset: int
    end_offset: int
    start_time: int
    end_time: int
    run: int = 0
    topic_id: str = ""

    @property
    def key(self) -> str:
        """The record's key.

        >>> Scan(task_id="t", detector_id="d", topic="m", partition=3, offset=0, end_offset=9,
        ...      start_time=0, end_time=60_000).key
        't/m/3'
        """
        return f"{self.task_id}/{self.topic}/{self.partition}"


class ScanCheckpoint(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A scan that is under way: exactly the fold of the records before ``windows.offset``.

    ``first`` is the least event time of all records, ``reached`` the greatest one in the range; None before the first.
    """

    version: int = VERSION
    first: int | None
    reached: int | None
    windows: RunCheckpoint


_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(ScanCheckpoint)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Scan)


def encode_scan(scan: Scan) -> bytes:
    """Write a record of the scans topic."""
    return _encoder.encode(scan)


def decode_scan(value: bytes) -> Scan:
    """Read a record of the scans topic. Raises ``UnknownVersion`` or ``msgspec.DecodeError``."""
    scan = _decoder.decode(value)
    if scan.version != VERSION:
        raise UnknownVersion(f"scan of version {scan.version}, this release reads {VERSION}")
    return scan


def encode_checkpoint(checkpoint: ScanCheckpoint) -> bytes:
    """Write the checkpoint of a scan."""
    return _packer.encode(checkpoint)


def decode_checkpoint(value: bytes) -> ScanCheckpoint:
    """Read the checkpoint of a scan. Raises ``UnknownVersion`` or ``msgspec.DecodeError``."""
    checkpoint = _unpacker.decode(value)
    if checkpoint.version != VERSION:
        raise UnknownVersion(f"scan checkpoint of version {checkpoint.version}, this release reads {VERSION}")
    return checkpoint
