"""``streams.kafka.log.Log`` in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from schemas.scan import Scan
from streams.kafka.extent import Extent
from streams.kafka.tp import TP
from tests.simulation.log import Away, Partition
from tests.simulation.world import World


class MemoryLog:
    """Reads the log of a world, which may be away: then the loop of the simulation calls again later."""

    def __init__(self, world: World) -> None:
        self._world = world

    def whole(self, topic: str, partitions: list[int]) -> Iterator[Any]:
        """See ``Log``."""
        self._there()
        return iter(list(self._world.log.read(topic, partitions)))

    def extents(self, tps: Iterable[TP]) -> dict[TP, Extent]:
        """See ``Log``."""
        self._there()
        found = {tp: self._world.log.topics[tp.topic][tp.partition] for tp in tps}
        return {tp: Extent(partition.low, partition.end) for tp, partition in found.items()}

    def since(self, topic: str, partition: int, offset: int) -> MemoryReader:
        """See ``Log``."""
        return MemoryReader(self._world, self._world.log.topics[topic][partition], offset)

    def _there(self) -> None:
        if self._world.log.away:
            raise Away


class MemoryReader:
    """See ``Reader``."""

    def __init__(self, world: World, partition: Partition, offset: int) -> None:
        self._world = world
        self._partition = partition
        self.position = offset
        self.lost: list[tuple[int, int]] = []

    def read(self, most: int, seconds: float) -> Sequence[Any]:
        """See ``Reader``."""
        if self._world.log.away:
            raise Away
        records = self._partition.since(self.position, self._world.dice.choice([1, 5, most]))
        last = not records or records[-1] is self._partition.records[-1]
        self.position = self._partition.end if last else records[-1].offset + 1
        return records

    def close(self) -> None:
        """See ``Reader``."""


class MemoryScan(MemoryReader):
    """See ``Reading``."""

    def __init__(self, world: World, scan: Scan, offset: int) -> None:
        super().__init__(world, world.log.topics[scan.topic][scan.partition], offset)
        self.low = 0
        self._end = scan.end_offset

    @property
    def ended(self) -> bool:
        """See ``Reading``."""
        return self.position >= self._end

    def look(self) -> bool:
        """See ``Reading``."""
        return not self._world.log.away

    def read(self, most: int, seconds: float) -> Sequence[Any]:
        """See ``Reading``."""
        return [record for record in super().read(most, seconds) if record.offset < self._end]
