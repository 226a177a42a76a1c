"""A row of a file, as the decoder takes records."""

from __future__ import annotations


class Row:
    """A record that never was in Kafka: ``value`` is its JSON, ``offset`` counts the rows of the file from 0."""

    __slots__ = ("offset", "value")

    key = None
    headers = ()
    timestamp = -1
    """Kafka's sign for no timestamp: nothing is too far ahead of it."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset = offset
        self.value = value
