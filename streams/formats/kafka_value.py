"""The values of the fields that a record has from Kafka: its timestamp, key, partition and headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from schemas.kafka_fields import HEADERS, TIMESTAMP
from schemas.query.values import KEYWORD


class KafkaRecord(Protocol):
    """What a consumer gives. ``timestamp`` is epoch ms: 0 or less, or None, for none."""

    @property
    def timestamp(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]] | None: ...


def kafka_value(record: KafkaRecord, partition: int, path: str) -> Any:
    """The value of one of these fields: None for nothing, a list for a header that is there several times.

    Keys and headers are texts; bytes that are no UTF-8 become halves of surrogate pairs, which no field takes.
    """
    path = path.removesuffix(KEYWORD)
    if path == TIMESTAMP:
        return record.timestamp if record.timestamp is not None and record.timestamp > 0 else None
    if path == "_kafka.partition":
        return partition
    if path == "_kafka.key":
        return _text(record.key)
    name = path.removeprefix(HEADERS)
    found = [_text(value) for each, value in record.headers or () if each == name and value is not None]
    return None if not found else found[0] if len(found) == 1 else found


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="surrogateescape")


def kafka_members(record: KafkaRecord, partition: int) -> dict[str, Any]:
    """All of these fields as an object, which stands under ``_kafka`` in a document that has to have them."""
    names = {name for name, _ in record.headers or ()}
    found = {name: kafka_value(record, partition, "_kafka." + name) for name in ("timestamp", "key", "partition")}
    return {**found, "headers": {name: kafka_value(record, partition, HEADERS + name) for name in names}}
