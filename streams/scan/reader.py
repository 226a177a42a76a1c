"""Reading what one scan asks for: a partition up to a fixed end, of a topic that may be deleted meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaException

from schemas.errors import RiverwatchError
from schemas.scan import Scan
from streams.kafka.error_codes import GONE
from streams.kafka.extent import is_another
from streams.kafka.partitions import Partitions
from streams.kafka.reader import PartitionReader
from streams.kafka.record import Record
from streams.settings import Settings

CERTAIN = 2.0
"""Seconds for which a topic must be seen to be gone: a broker that has just started may not know it for a moment."""


class TopicGone(RiverwatchError):
    """The topic that is being read was deleted."""


class Reading(Protocol):
    """What a scan reads from: see ``ScanReader``, which reads Kafka. All methods block."""

    position: int
    lost: list[tuple[int, int]]
    low: int

    @property
    def ended(self) -> bool:
        """Whether everything has been read."""
        ...

    def look(self) -> bool:
        """Whether what is to be read is still there; False while that can't be told. Raises ``TopicGone``."""
        ...

    def read(self, most: int, seconds: float) -> Sequence[Any]:
        """The next records before the end; nothing when none came in time. Raises ``KafkaException``."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class ScanReader(PartitionReader):
    """The records of a scan from ``offset`` on.

    ``ended`` says that there is nothing more before the scan's end. ``low`` is the first offset that the partition held
    when reading began, 0 before it was looked at.
    """

    def __init__(self, settings: Settings, partitions: Partitions, scan: Scan, offset: int) -> None:
        super().__init__(settings.client(), scan.topic, scan.partition, offset)
        self.low = 0
        self._partitions = partitions
        self._scan = scan
        self._gone_since: float | None = None
        self._looked = False

    @property
    def ended(self) -> bool:
        """Whether everything has been read."""
        return self.position >= self._scan.end_offset

    def look(self) -> bool:
        """Find ``low``, and whether what is to be read is still there; False while that can't be told.

        Raises ``TopicGone``, after ``CERTAIN`` seconds of looking.
        """
        try:
            ids = self._partitions.ids([self._scan.topic])
            if self._scan.topic not in ids:
                return self._gone("deleted")
            if is_another(self._scan.topic_id, ids[self._scan.topic]):
                return self._gone("deleted and made anew")
            low, high = self.extent()
        except KafkaException as error:
            return self._gone("deleted") if error.args[0].code() in GONE else False
        if high < self._scan.end_offset:
            return self._gone("deleted and made anew")
        self._gone_since = None
        if not self._looked:
            self.low, self._looked = low, True
        return True

    def _gone(self, what: str) -> bool:
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since >= CERTAIN:
            raise TopicGone(f"topic {self._scan.topic} was {what} while it was analysed")
        return False

    def read(self, most: int, seconds: float) -> list[Record]:
        """The next records before the end; nothing when none came in time. Raises ``KafkaException``."""
        records = super().read(most, seconds)
        while records and records[-1].offset >= self._scan.end_offset:
            records.pop()
        return records
