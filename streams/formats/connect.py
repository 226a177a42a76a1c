"""JSON of Kafka Connect with its schema, as Debezium writes it: decimals and times as the schema means them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.json import UNREADABLE, complaint, read_document

_DAY = 86_400_000


def _decimal(value: Any, scale: int) -> float:
    return float(int.from_bytes(base64.b64decode(value), "big", signed=True)) / 10.0**scale


_NAMED: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "org.apache.kafka.connect.data.Decimal": lambda value, schema: _decimal(
        value, int((schema.get("parameters") or {}).get("scale", 0))
    ),
    "io.debezium.data.VariableScaleDecimal": lambda value, schema: _decimal(value["value"], int(value["scale"])),
    "org.apache.kafka.connect.data.Date": lambda value, schema: value * _DAY,
    "io.debezium.time.Date": lambda value, schema: value * _DAY,
    "io.debezium.time.MicroTimestamp": lambda value, schema: value // 1_000,
    "io.debezium.time.NanoTimestamp": lambda value, schema: value // 1_000_000,
}
"""What the names of schemas mean, where the value is not yet a number or epoch ms."""


class ConnectJson:
    """The codec: the record without its schema. The names of the fields stay as they are, ``payload`` in front."""

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``. A record without payload is a tombstone, and nothing."""
        try:
            document = read_document(value)
        except UNREADABLE as error:
            raise Unreadable(complaint(value, error)) from None
        if not isinstance(document, Mapping) or not isinstance(document.get("schema"), Mapping):
            raise Unreadable("no JSON of Kafka Connect with its schema")
        try:
            payload = _converted(document["schema"], document.get("payload"))
        except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
            raise Unreadable(f"the payload is not as its schema says: {str(error)[:200]}") from None
        return [] if payload is None else [{"payload": payload}]


def _converted(schema: Mapping[str, Any], value: Any) -> Any:
    if value is None:
        return None
    named = _NAMED.get(schema.get("name") or "")
    if named is not None:
        return named(value, schema)
    match schema.get("type"):
        case "struct":
            fields = {each["field"]: each for each in schema["fields"]}
            return {name: _converted(fields.get(name, {}), member) for name, member in value.items()}
        case "array":
            return [_converted(schema["items"], member) for member in value]
        case "map" if isinstance(value, Mapping):
            return {name: _converted(schema["values"], member) for name, member in value.items()}
    return value
