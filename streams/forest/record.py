"""A model's record: a header that says what it belongs to, then its arrays. Never misread, only refused."""

from __future__ import annotations

import hashlib
import struct

from schemas.errors import RiverwatchError
from streams.forest.spec import ForestSpec

VERSION = 4
_HEADER = struct.Struct("<2sBBQ8s")
_MAGIC = b"RF"
_KINDS = {"default": 0, "river": 1}


class WrongRecord(RiverwatchError):
    """A model record of another version, kind, seed or structure, or one that was cut off."""


def header(spec: ForestSpec, fingerprint: bytes) -> bytes:
    """The first bytes of the records of such models; ``fingerprint`` is the structure's."""
    sizes = (spec.features, spec.trees, spec.height, spec.window, spec.seasonality, spec.interval, spec.time_zone)
    digest = hashlib.blake2b(fingerprint + repr(sizes).encode(), digest_size=8).digest()
    return _HEADER.pack(_MAGIC, VERSION, _KINDS[spec.kind], spec.seed, digest)


def body(state: bytes, expected: bytes) -> memoryview:
    """What follows the header of ``state``. Raises ``WrongRecord`` unless the header is the expected one."""
    if state[: len(expected)] == expected:
        return memoryview(state)[len(expected) :]
    if len(state) < _HEADER.size or state[:2] != _MAGIC:
        raise WrongRecord("not a model record")
    _, version, kind, seed, _ = _HEADER.unpack_from(state)
    _, _, own_kind, own_seed, _ = _HEADER.unpack(expected)
    if version != VERSION:
        raise WrongRecord(f"model record of version {version}, this release reads {VERSION}")
    if kind != own_kind:
        raise WrongRecord("model record of another type of model")
    if seed != own_seed:
        raise WrongRecord(f"model record of seed {seed}, the detector's seed is {own_seed}")
    raise WrongRecord(
        "model record of another structure: trees, height, window, features, interval or time zone differ"
    )
