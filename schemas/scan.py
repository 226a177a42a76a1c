"""The topic scans: bounded reads to do, one a record.

JSON, since the coordinator's journal holds these records, too.
"""

from __future__ import annotations

import msgspec

from schemas.errors import UnknownVersion

VERSION = 1


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """Read the records ``[offset, end_offset)`` of one source partition for one task.

    Those with an event time in ``[start_time, end_time)`` are windowed for models that ``task_id`` owns. The
    detector is the snapshot in the task's document.
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

    @property
    def key(self) -> str:
        """The record's key.

        >>> Scan(task_id="t", detector_id="d", topic="m", partition=3, offset=0, end_offset=9,
        ...      start_time=0, end_time=60_000).key
        't/m/3'
        """
        return f"{self.task_id}/{self.topic}/{self.partition}"


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
