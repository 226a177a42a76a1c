"""Prometheus remote write 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/, snappy around Protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cramjam
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.plain import plain

MOST_BYTES = 64 * 1024 * 1024
"""A record that claims to be larger unpacked is none: snappy's length is the first thing in it."""

_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Label": (("name", FieldDescriptorProto.TYPE_STRING, ""), ("value", FieldDescriptorProto.TYPE_STRING, "")),
    "Sample": (("value", FieldDescriptorProto.TYPE_DOUBLE, ""), ("timestamp", FieldDescriptorProto.TYPE_INT64, "")),
    "TimeSeries": (
        ("labels", FieldDescriptorProto.TYPE_MESSAGE, "Label"),
        ("samples", FieldDescriptorProto.TYPE_MESSAGE, "Sample"),
    ),
    "WriteRequest": (("timeseries", FieldDescriptorProto.TYPE_MESSAGE, "TimeSeries"),),
}
"""The part of ``prometheus/prompb`` that holds samples; members are numbered from 1."""


def _message_class(name: str) -> Any:
    file = FileDescriptorProto(name="remote_write.proto", package="prometheus", syntax="proto3")
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for number, (field, kind, inner) in enumerate(fields, 1):
            repeated = FieldDescriptorProto.LABEL_REPEATED if inner else FieldDescriptorProto.LABEL_OPTIONAL
            type_name = f".prometheus.{inner}" if inner else None
            described.field.add(name=field, number=number, type=kind, label=repeated, type_name=type_name)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"prometheus.{name}"))


WriteRequest = _message_class("WriteRequest")
"""The Protobuf class of a request."""


class RemoteWrite:
    """The codec. A sample is a point: ``name``, ``labels``, ``value`` and ``timestamp`` (epoch ms)."""

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``. A stale marker has no value."""
        request = read_request(value)
        return [
            {
                "name": labels.get("__name__"),
                "labels": {name: text for name, text in labels.items() if name != "__name__"},
                "value": plain(sample.value),
                "timestamp": sample.timestamp,
            }
            for series in request.timeseries
            for labels in ({label.name: label.value for label in series.labels},)
            for sample in series.samples
        ]


def read_request(value: bytes) -> Any:
    """The request in a record. Raises ``Unreadable``."""
    try:
        if cramjam.snappy.decompress_raw_len(value) > MOST_BYTES:
            raise Unreadable(f"remote write of more than {MOST_BYTES:,} bytes")
        return WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(value)))
    except (cramjam.DecompressionError, DecodeError) as error:
        raise Unreadable(f"no Prometheus remote write: {str(error)[:200]}") from None
