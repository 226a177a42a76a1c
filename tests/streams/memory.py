"""An outbox and the log behind it, in memory: for what is written to compacted topics and read back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any


class Stored:
    """A record, as a consumer would give it."""

    def __init__(self, offset: int, key: str | None, value: bytes | None) -> None:
        self._offset = offset
        self._key = key
        self._value = value

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None if self._key is None else self._key.encode()

    def value(self) -> bytes | None:
        return self._value


class MemoryLog:
    """Topics by name and partition. ``names`` are the topics without prefix in the order of sending, with an
    "arrived" for each barrier."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Stored]] = defaultdict(list)
        self.names: list[str] = []

    async def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, partition: int = 0, **rest: Any
    ) -> None:
        self.names.append(topic.rpartition(".")[2])
        records = self.records[topic, partition]
        records.append(Stored(len(records), key, value))
        if (delivered := rest.get("on_delivery")) is not None:
            delivered(records[-1])

    async def barrier(self) -> None:
        self.names.append("arrived")

    def whole(self, topic: str, partitions: list[int]) -> Iterator[Stored]:
        for partition in partitions:
            yield from list(self.records[topic, partition])
