"""Protobuf messages that are described by a registry's descriptors, and any message as JSON-like values."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from streams.formats.plain import plain
from streams.formats.written_schema import WrittenSchema

_WELL_KNOWN = (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
_MAIN = "riverwatch-main.proto"


class ProtobufReader:
    """Reads the messages of one schema."""

    def __init__(self, schema: WrittenSchema) -> None:
        pool = DescriptorPool()
        for module in _WELL_KNOWN:
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        for name, text in (*schema.references, (_MAIN, schema.text)):
            file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text))
            file.name = name
            pool.Add(file)
        self._messages = list(pool.FindFileByName(_MAIN).message_types_by_name.values())
        self._classes: dict[str, Any] = {}

    def read(self, payload: bytes) -> dict[str, Any]:
        """The message in a payload, which begins with the place of its type in the file.

        Raises whatever Protobuf or a wrong place raises.
        """
        places, start = _places(payload)
        described: Descriptor = self._messages[places[0]]
        for place in places[1:]:
            described = described.nested_types[place]
        if described.full_name not in self._classes:
            self._classes[described.full_name] = GetMessageClass(described)
        return document_of(self._classes[described.full_name].FromString(payload[start:]))


def document_of(message: Any) -> dict[str, Any]:
    """A message as JSON-like values under the names of its fields. What is not set and can tell so is left out.

    >>> from google.protobuf.timestamp_pb2 import Timestamp
    >>> document_of(Timestamp(seconds=1, nanos=5))
    {'seconds': 1, 'nanos': 5}
    """
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            found[field.name] = {str(name): _value(inner, value[name]) for name in value}
        elif field.is_repeated:
            found[field.name] = [_value(field, each) for each in value]
        else:
            found[field.name] = _value(field, value)
    return found


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.message_type is None:
        return plain(value)
    name = field.message_type.full_name
    if name == "google.protobuf.Timestamp":
        return value.seconds * 1000 + value.nanos // 1_000_000
    if name == "google.protobuf.Duration":
        return value.seconds + value.nanos / 1e9
    if name.startswith("google.protobuf.") and name.endswith("Value") and name != "google.protobuf.Value":
        return plain(value.value) if hasattr(value, "value") else json_format.MessageToDict(value)
    if name.startswith("google.protobuf."):
        return json_format.MessageToDict(value)
    return document_of(value)


def _places(payload: bytes) -> tuple[list[int], int]:
    """The message's place in the file and, for nested ones, in each message around it; and where the message begins.

    >>> _places(bytes([0, 8, 1])), _places(bytes([4, 2, 4, 8]))
    (([0], 1), ([1, 2], 3))
    """
    count, at = _zigzag(payload, 0)
    places = []
    for _ in range(count):
        place, at = _zigzag(payload, at)
        places.append(place)
    return places or [0], at


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = payload[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
