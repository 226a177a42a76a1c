"""The codec of each format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.record_format import RecordFormat
from streams.formats.cloudevents import CloudEvents
from streams.formats.codec import Codec, Headers, Point, Unreadable
from streams.formats.confluent import Confluent
from streams.formats.connect import ConnectJson
from streams.formats.json_points import JsonPoints
from streams.formats.line_protocol import LineProtocol
from streams.formats.messagepack import MessagePack
from streams.formats.otlp import OtlpJson, OtlpProtobuf
from streams.formats.remote_write import RemoteWrite
from streams.formats.sniff import format_of
from streams.formats.written_schema import KnownSchemas

_MADE: dict[RecordFormat, Callable[[KnownSchemas], Codec]] = {
    "connect": lambda known: ConnectJson(),
    "confluent": Confluent,
    "otlp-json": lambda known: OtlpJson(),
    "otlp-protobuf": lambda known: OtlpProtobuf(),
    "line-protocol": lambda known: LineProtocol(),
    "remote-write": lambda known: RemoteWrite(),
    "cloudevents": lambda known: CloudEvents(),
    "messagepack": lambda known: MessagePack(),
}


def codec_of(format_: RecordFormat, points: str | None, known: KnownSchemas) -> Codec | None:
    """The codec of a format; None for JSON that needs none. ``points`` is where JSON has its points."""
    if format_ == "json":
        return None if points is None else JsonPoints(points)
    return _MADE[format_](known)


class AnyFormat:
    """The codec of records that are no JSON and whose format nobody has told: each is looked at by itself."""

    def __init__(self, known: KnownSchemas) -> None:
        self._known = known
        self._codecs: dict[RecordFormat, Codec] = {}

    def read(self, value: bytes, headers: Headers) -> bytes | Sequence[Point | Unreadable]:
        """As ``Codec``."""
        format_ = format_of(value, headers)
        if format_ is None or format_ == "json":
            raise Unreadable("no format that is known")
        if format_ not in self._codecs:
            self._codecs[format_] = _MADE[format_](self._known)
        return self._codecs[format_].read(value, headers)
