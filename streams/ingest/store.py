"""Where the checkpoints of sources are kept: the topic ``windows``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import structlog
from faust.types import TP

from schemas.checkpoint import SourceCheckpoint, decode_source, encode
from schemas.errors import UnknownVersion
from streams.follower import read_to_end
from streams.ingest.checkpoint import assemble
from streams.ingest.sources import Snapshot, Stored
from streams.outbox import Outbox
from streams.settings import Settings

log = structlog.get_logger()


class SourceStore:
    """Reads and writes the checkpoints of sources."""

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox
        self._topic = settings.topic("windows")

    def read(self, tps: Iterable[TP]) -> dict[TP, Stored]:
        """The latest whole checkpoint of each of these sources. Blocking."""
        wanted = {(tp.topic, tp.partition): tp for tp in tps}
        parts: dict[tuple[TP, int], dict[int, SourceCheckpoint]] = defaultdict(dict)
        for message in read_to_end(self._settings, self._topic, [0]):
            key = (message.key() or b"").decode()
            topic, partition, slot, _ = key.rsplit("/", 3)
            tp = wanted.get((topic, int(partition)))
            if tp is None or message.value() is None:
                continue
            try:
                checkpoint = decode_source(message.value())
            except (UnknownVersion, ValueError) as error:
                log.error("source checkpoint not readable, its source is read from its start", key=key, error=error)
                continue
            parts[tp, int(slot)][checkpoint.part] = checkpoint
        latest: dict[TP, Stored] = {}
        for (tp, slot), found in parts.items():
            # A larger checkpoint that was written to this slot before leaves parts behind that do not count.
            newest = max(checkpoint.offset for checkpoint in found.values())
            runs = assemble(checkpoint for checkpoint in found.values() if checkpoint.offset == newest)
            if runs is not None and (tp not in latest or newest > latest[tp].offset):
                latest[tp] = Stored(newest, slot, runs)
        return latest

    async def write(self, snapshot: Snapshot) -> None:
        """Hand the records of a snapshot to the outbox."""
        for key, checkpoint in snapshot.records:
            await self._outbox.send(self._topic, encode(checkpoint), key=key)
