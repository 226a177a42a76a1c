"""Confluent's framing: a zero byte, the id of a schema in a registry, and the payload that is written with it.

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import fastavro

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.plain import plain
from streams.formats.protobuf import ProtobufReader
from streams.formats.written_schema import KnownSchemas, WrittenSchema

HEADER = 5
"""Bytes in front of the payload."""

Read = Callable[[bytes], bytes | Any]


def schema_id(value: bytes) -> int | None:
    """The id of the schema of a framed record; None for one that is not framed.

    >>> schema_id(bytes([0, 0, 0, 1, 2, 65])), schema_id(b"{}")
    (258, None)
    """
    return int.from_bytes(value[1:HEADER], "big") if value[:1] == b"\0" and len(value) > HEADER else None


class Confluent:
    """The codec. The schemas of its records are in ``known``; with JSON Schema the payload is JSON as it stands."""

    def __init__(self, known: KnownSchemas) -> None:
        self._known = known
        self._readers: dict[int, Read] = {}

    def read(self, value: bytes, headers: Headers) -> bytes | Sequence[Point | Unreadable]:
        """As ``Codec``. Raises ``SchemasWanted`` as well."""
        id = schema_id(value)
        if id is None:
            raise Unreadable("the record has no zero byte and schema id in front")
        if id not in self._readers:
            self._readers[id] = _reader(id, self._known.get(id))
        try:
            found = self._readers[id](value[HEADER:])
        except Exception as error:  # whatever the libraries raise for bytes that another schema wrote
            raise Unreadable(f"not written with schema {id}: {type(error).__name__}: {str(error)[:200]}") from None
        if isinstance(found, bytes):
            return found
        return [found] if isinstance(found, dict) else [Unreadable(f"schema {id} describes no object")]


def _reader(id: int, schema: WrittenSchema) -> Read:
    try:
        match schema.kind:
            case "JSON":
                return bytes
            case "AVRO":
                return _avro(schema)
            case "PROTOBUF":
                return ProtobufReader(schema).read
    except Exception as error:  # whatever the libraries raise for a schema that is none
        raise Unreadable(f"schema {id} can't be used: {type(error).__name__}: {str(error)[:200]}") from None


def _avro(schema: WrittenSchema) -> Read:
    named: dict[str, Any] = {}
    for _, text in schema.references:
        fastavro.parse_schema(json.loads(text), named)
    parsed = fastavro.parse_schema(json.loads(schema.text), named)
    return lambda payload: plain(fastavro.schemaless_reader(BytesIO(payload), parsed, None))
