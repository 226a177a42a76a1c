"""Which format records are in, told from their bytes and headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from schemas.record_format import RecordFormat
from streams.formats.cloudevents import VERSION
from streams.formats.codec import Headers, Unreadable
from streams.formats.confluent import schema_id
from streams.formats.json import UNREADABLE, read_document
from streams.formats.line_protocol import LineProtocol
from streams.formats.remote_write import read_request


@dataclass(frozen=True)
class Told:
    """What the sampled records are: most are in ``format``, None for none that is known; ``points`` is the member that
    holds their points, where that is the only one. ``others`` are records in no format or another one."""

    format: RecordFormat | None
    points: str | None = None
    others: int = 0


def told_format(records: Iterable[tuple[bytes | None, Headers]]) -> Told:
    """The format that most records are in: their values and headers. Tombstones say nothing.

    >>> told_format([(b'{"metrics": [{"v": 1}]}', ()), (b'{"metrics": [{"v": 2}]}', ()), (b"?", ())])
    Told(format='json', points='metrics', others=1)
    """
    formats: Counter[RecordFormat | None] = Counter()
    points: Counter[str | None] = Counter()
    for value, headers in records:
        if value is None:
            continue
        format_, document = _look(value, headers)
        formats[format_] += 1
        if format_ == "json":
            points[_points_of(document)] += 1
    if not formats:
        return Told(None)
    chosen = formats.most_common(1)[0][0]
    inside = points.most_common(1)[0][0] if chosen == "json" else None
    return Told(chosen, inside, formats.total() - formats[chosen])


def format_of(value: bytes, headers: Headers) -> RecordFormat | None:
    """The format of one record; None for none that is known.

    >>> format_of(b"cpu,host=a usage=0.5 1795489200000000000", ()), format_of(b"hello", ())
    ('line-protocol', None)
    """
    return _look(value, headers)[0]


def _look(value: bytes, headers: Headers) -> tuple[RecordFormat | None, Any]:
    if any(name == VERSION for name, _ in headers):
        return "cloudevents", None
    if schema_id(value) is not None:
        return "confluent", None
    try:
        document = read_document(value)
    except UNREADABLE:
        return _not_json(value), None
    first = next(iter(document), None) if isinstance(document, list) else document
    if not isinstance(first, Mapping):
        return None, None
    if isinstance(first.get("resourceMetrics"), list):
        return "otlp-json", None
    if isinstance(first.get("schema"), Mapping) and "payload" in first and "type" in first["schema"]:
        return "connect", None
    if "specversion" in first and "data_base64" in first:
        return "cloudevents", None
    return "json", first


def _not_json(value: bytes) -> RecordFormat | None:
    try:
        if not isinstance(LineProtocol().read(value, ())[0], Unreadable):
            return "line-protocol"
    except Unreadable:
        pass
    try:
        if any(series.labels for series in read_request(value).timeseries):
            return "remote-write"
    except Unreadable:
        pass
    try:
        request = ExportMetricsServiceRequest.FromString(value)
        # Whatever is not known is kept: bytes of another message would be written anew in another way.
        if any(each.scope_metrics for each in request.resource_metrics) and request.SerializeToString() == value:
            return "otlp-protobuf"
    except (DecodeError, RecursionError):
        pass
    try:
        found = msgspec.msgpack.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    first = next(iter(found), None) if isinstance(found, list) else found
    return "messagepack" if isinstance(first, Mapping) and first else None


def _points_of(document: Mapping[str, Any]) -> str | None:
    """The only member of a record, where that is an array of objects."""
    if len(document) != 1:
        return None
    ((name, member),) = document.items()
    return name if isinstance(member, list) and member and all(isinstance(each, Mapping) for each in member) else None
