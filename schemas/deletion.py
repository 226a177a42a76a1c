"""The topic ``deletions``: which results every API process is to forget."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.command import User

VERSION = 1


class Deletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Results that match ``query`` and stand before these offsets of the results topic, by partition.

    ``time`` (epoch ms) is what ``now`` means in the query. Whoever follows the topic deletes the same results, whenever
    they do: later ones have higher offsets.
    """

    id: str
    time: int
    query: dict[str, Any]
    before: dict[int, int]
    user: User | None = None
    version: int = VERSION


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Deletion)


def encode_deletion(deletion: Deletion) -> bytes:
    """Write a record of the deletions topic."""
    return _encoder.encode(deletion)


def decode_deletion(value: bytes) -> Deletion:
    """Read a record of the deletions topic. Raises ``msgspec.DecodeError`` for what is none.

    >>> decode_deletion(b'{"id":"1","time":7,"query":{"match_all":{}},"before":{"0":12}}').before
    {0: 12}
    """
    return _decoder.decode(value)
