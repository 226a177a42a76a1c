"""The models of one model partition as values of its share of the topic ``checkpoints``, and back.

Without Kafka, asyncio or a clock: the agent reads and writes the records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import structlog

from schemas.checkpoint import ModelCheckpoint, decode_model, encode
from schemas.entity import SEPARATOR, model_key
from schemas.errors import UNREADABLE
from streams.fencing.fence import Held, Record
from streams.fencing.share import Share
from streams.score.merge import Fences

log = structlog.get_logger()

FENCES = "|fences"
"""The name of the record that holds the fences of sources: models have the names of owners, which are not empty."""


def share_of(partition: int) -> str:
    """The name of a model partition's share.

    >>> share_of(3)
    'models/3'
    """
    return f"models/{partition}"


def owner_of(name: str) -> str:
    """The owner of the model with this name."""
    return name.partition(SEPARATOR)[0]


def models_in(held: Mapping[str, Held], owners: Collection[str]) -> tuple[dict[str, list[ModelCheckpoint]], int]:
    """The models of these owners by owner, in one pass, and how many could not be read: those begin anew."""
    found: dict[str, list[ModelCheckpoint]] = {owner: [] for owner in owners}
    unreadable = 0
    for name, (_, value) in held.items():
        owner = owner_of(name)
        if owner not in found or value is None:
            continue
        try:
            found[owner].append(decode_model(value))
        except UNREADABLE as error:
            unreadable += 1
            if unreadable == 1:
                log.error("model checkpoint not readable, the model begins anew", model=name, error=str(error))
    return found, unreadable


def records_of(share: Share, snapshots: Iterable[ModelCheckpoint]) -> list[Record]:
    """The records, in this order, that write these models."""
    return [
        record
        for snapshot in snapshots
        for record in share.write(model_key(snapshot.owner, snapshot.entity), encode(snapshot))
    ]


def deletions_of(share: Share, owner: str, entities: Iterable[str]) -> list[Record]:
    """The records, in this order, that delete the models of these entities."""
    return [record for entity in entities for record in share.delete(model_key(owner, entity))]


def owners_in(share: Share) -> set[str]:
    """The owners that have models here."""
    return {owner_of(name) for name, (_, value) in share.held.items() if value is not None and name != FENCES}


def fences_in(held: Mapping[str, Held]) -> Fences:
    """The fences of sources that were seen: the next scorer, too, refuses what former owners write."""
    value = held[FENCES].value if FENCES in held else None
    if not value:
        return {}
    try:
        return {(topic, partition): (epoch, offset) for topic, partition, epoch, offset in _fences.decode(value)}
    except UNREADABLE as error:
        log.error("fences of sources not readable", error=str(error))
        return {}


def record_of_fences(share: Share, fences: Fences) -> list[Record]:
    """The records, in this order, that write the fences of sources."""
    return share.write(FENCES, msgspec.msgpack.encode([(*source, *fence) for source, fence in sorted(fences.items())]))


_fences = msgspec.msgpack.Decoder(list[tuple[str, int, int, int]])


def deletions_of_all(share: Share, owners: Collection[str]) -> list[Record]:
    """The records, in this order, that delete all models of these owners."""
    names: Sequence[str] = [name for name in share.held if owner_of(name) in owners]
    return [record for name in names for record in share.delete(name)]
