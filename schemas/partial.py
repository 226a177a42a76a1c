"""Windows that one source partition closed, on their way to the scorer.

A record is a msgpack array with a version in front. Numbers travel as raw little-endian float64 arrays
(``bytes``), one a column, as long as ``entities``.
"""

from __future__ import annotations

import msgspec

from schemas.errors import UnknownVersion

VERSION = 1
NO_WINDOW = -(2**63)
"""``closed_until`` of a source that has not closed a window yet."""


class WindowPart(msgspec.Struct, frozen=True, array_like=True):
    """What one source contributes to the window that ends at ``end`` (epoch ms, exclusive).

    A window too large for one record comes in pieces that are numbered from 0, and is closed by the record with the
    last of them. A piece 0 begins the window anew, when a source was cut off half way and says it again.
    """

    end: int
    entities: list[str]
    columns: list[bytes]
    piece: int = 0


class Partial(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One source's word to one model partition about one run of a detector.

    Every window of this source that ends at or before ``closed_until`` is closed: what the record does not
    list holds nothing for this model partition. ``idle`` says that the source has nothing to say for now and
    holds nobody back. ``caught_up`` says that it has been read to its end for a while, so that no record is under way.
    ``finished`` (scans only): nothing more will come. ``late`` and ``records`` count, since
    the run's start, the records that came too late and all records that were folded in.

    ``owner`` is the detector id, or the task id of a historical analysis. ``epoch`` is that of the source's owner among
    the workers: what an owner writes after its successor has written counts no more.
    """

    version: int = VERSION
    owner: str
    run: int
    topic: str
    partition: int
    epoch: int = 0
    closed_until: int
    idle: bool
    caught_up: bool = False
    finished: bool
    late: int
    records: int
    windows: list[WindowPart]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Partial)


def encode_partial(partial: Partial) -> bytes:
    """Write a record of the partials topic."""
    return _encoder.encode(partial)


def decode_partial(value: bytes) -> Partial:
    """Read a record of the partials topic. Raises ``UnknownVersion`` or ``msgspec.DecodeError``."""
    partial = _decoder.decode(value)
    if partial.version != VERSION:
        raise UnknownVersion(f"partial of version {partial.version}, this release reads {VERSION}")
    return partial
