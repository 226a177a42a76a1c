"""The checkpoints of a source as the values of its share of the topic ``windows``, and back.

A checkpoint is cut into parts, under names that alternate between two slots: one that was cut off half way leaves the
one before it whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from schemas.checkpoint import RunCheckpoint, SourceCheckpoint, decode_source, encode
from schemas.errors import UNREADABLE
from streams.fencing.fence import Record
from streams.fencing.share import Share
from streams.ingest.checkpoint import assemble

log = structlog.get_logger()


@dataclass(frozen=True)
class Stored:
    """The latest whole checkpoint of a source."""

    number: int
    offset: int
    runs: Sequence[RunCheckpoint]
    topic_id: str = ""


def share_of(topic: str, partition: int) -> str:
    """The name of a source's share.

    >>> share_of("metrics", 3)
    'metrics/3'
    """
    return f"{topic}/{partition}"


def stored_in(share: Share) -> Stored | None:
    """The latest whole checkpoint that a source's share has."""
    found: dict[tuple[int, int], list[SourceCheckpoint]] = defaultdict(list)
    for name, (_, value) in share.held.items():
        if value is None:
            continue
        try:
            part = decode_source(value)
        except UNREADABLE as error:
            log.error("source checkpoint not readable, an older one is used", share=share.name, name=name, error=error)
            continue
        # Two owners may have used the same number, and what the one before wrote to a slot may be longer. Not by the
        # epoch of the record: what was in danger has been rewritten under a later one.
        found[part.epoch, part.number].append(part)
    for (_, number), parts in sorted(found.items(), reverse=True):
        runs = assemble(parts)
        if runs is not None:
            return Stored(number, parts[0].offset, runs, parts[0].topic_id)
    return None


def records_of(share: Share, checkpoints: Sequence[SourceCheckpoint]) -> list[Record]:
    """The records, in this order, that write a checkpoint and delete what it leaves over of its slot."""
    slot = checkpoints[0].number % 2
    records = [record for part in checkpoints for record in share.write(f"{slot}/{part.part}", encode(part))]
    for name in sorted(share.held):
        at, _, part_number = name.partition("/")
        if at == str(slot) and int(part_number) >= len(checkpoints):
            records += share.delete(name)
    return records
