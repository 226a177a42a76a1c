"""Names of the fields that a record has from Kafka rather than in its value: used wherever a field can be named."""

from __future__ import annotations

from schemas.query.values import KEYWORD

PREFIX = "_kafka."
"""What the names of these fields begin with: no member of a record's value can be read by such a name."""

TIMESTAMP = "_kafka.timestamp"
HEADERS = "_kafka.headers."
_KINDS = "_kafka.timestamp, _kafka.key, _kafka.partition and _kafka.headers.NAME"


def is_kafka_field(path: str) -> bool:
    """Whether a field is Kafka's.

    >>> is_kafka_field("_kafka.headers.host"), is_kafka_field("host")
    (True, False)
    """
    return path.startswith(PREFIX)


def unknown_kafka_field(path: str) -> str | None:
    """What is wrong about the name of a field that begins as Kafka's do; None for nothing.

    >>> unknown_kafka_field("_kafka.kye")
    '_kafka.kye is no field: there are _kafka.timestamp, _kafka.key, _kafka.partition and _kafka.headers.NAME'
    """
    plain = path.removesuffix(KEYWORD)
    if not is_kafka_field(path) or plain in (TIMESTAMP, "_kafka.key", "_kafka.partition"):
        return None
    return None if path.startswith(HEADERS) and path != HEADERS else f"{path} is no field: there are {_KINDS}"
