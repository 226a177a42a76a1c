"""A record that was read outside of Faust, as decoders take it."""

from __future__ import annotations

from confluent_kafka import Message


class Record:
    """A confluent message with the attributes of an aiokafka record.

    Key, time and headers are asked for only where they are needed.
    """

    __slots__ = ("_message", "offset", "value")

    def __init__(self, message: Message) -> None:
        self._message = message
        self.offset = message.offset()
        self.value = message.value()

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        key: bytes | None = self._message.key()
        return key

    @property
    def timestamp(self) -> int:
        """Its Kafka timestamp, in epoch ms: -1 for none."""
        return int(self._message.timestamp()[1])

    @property
    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Its headers."""
        headers: list[tuple[str, bytes | None]] | None = self._message.headers()
        return headers
