"""Records as common producers write them: values and headers, built by the formats' own libraries."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import cramjam
import fastavro
import msgpack
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from influxdb_client import Point, WritePrecision
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from streams.formats.codec import Headers
from streams.formats.remote_write import WriteRequest
from streams.formats.written_schema import KnownSchemas, WrittenSchema

AT = 1_795_489_205_000
"""Epoch ms of the first record of each producer."""


@dataclass(frozen=True)
class Producer:
    """What a producer writes for a value at a time (epoch ms), and where its point has both and the host."""

    format: str
    write: Callable[[float, int], tuple[bytes, Headers]]
    time: str
    value: str
    host: str
    points: str | None = None
    name: str | None = None
    unit: str = "milliseconds"
    headers_tell: bool = False
    """Whether nothing but headers says that a record is more than JSON."""


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _iso(at: int) -> str:
    return _moment(at).isoformat().replace("+00:00", "Z")


def _json(document: Any) -> tuple[bytes, Headers]:
    return json.dumps(document).encode(), ()


# -- JSON -----------------------------------------------------------------------------------------------------------


def _telegraf(value: float, at: int) -> dict[str, Any]:
    return {"fields": {"usage_idle": value}, "name": "cpu", "tags": {"host": "a"}, "timestamp": at // 1000}


def _adapter(value: float, at: int) -> dict[str, Any]:
    labels = {"__name__": "up", "instance": "a"}
    return {"timestamp": _iso(at), "value": str(value), "name": "up", "labels": labels}


def _debezium(value: float, at: int) -> tuple[bytes, Headers]:
    row = [
        {"type": "bytes", "optional": False, "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
         "parameters": {"scale": "2", "connect.decimal.precision": "10"}, "field": "price"},
        {"type": "int64", "optional": False, "name": "io.debezium.time.MicroTimestamp", "version": 1, "field": "at"},
        {"type": "string", "optional": False, "field": "shop"},
    ]  # fmt: skip
    struct = {"type": "struct", "fields": row, "optional": True, "name": "shop.orders.Value"}
    schema = {
        "type": "struct",
        "fields": [
            {**struct, "field": "before"},
            {**struct, "field": "after"},
            {"type": "string", "optional": False, "field": "op"},
            {"type": "int64", "optional": True, "field": "ts_ms"},
        ],
        "optional": False,
        "name": "shop.orders.Envelope",
    }
    hundredths = round(value * 100)
    price = base64.b64encode(hundredths.to_bytes(4, "big", signed=True)).decode()
    after = {"price": price, "at": at * 1000, "shop": "a"}
    return _json({"schema": schema, "payload": {"before": None, "after": after, "op": "c", "ts_ms": at + 5}})


def _event(value: float, at: int, data: Any) -> CloudEvent:
    attributes = {
        "id": str(at),
        "source": "/sensors/a",
        "type": "reading",
        "specversion": "1.0",
        "time": _moment(at),
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, data)


def _structured(value: float, at: int) -> tuple[bytes, Headers]:
    message = to_structured_event(_event(value, at, {"value": value, "host": "a"}))
    return message.value, list(message.headers.items())


def _binary(value: float, at: int) -> tuple[bytes, Headers]:
    message = to_binary_event(_event(value, at, {"value": value, "host": "a"}))
    return message.value, list(message.headers.items())


# -- with a schema ----------------------------------------------------------------------------------------------------

AVRO = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "host", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "value", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
    ],
}
AVRO_NEXT = {**AVRO, "fields": [*AVRO["fields"], {"name": "unit", "type": "string", "default": "C"}]}


def _file() -> descriptor_pb2.FileDescriptorProto:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="reading.proto", package="p", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Other")
    reading = file.message_type.add(name="Reading")
    optional = kinds.LABEL_OPTIONAL
    reading.field.add(name="host", number=1, type=kinds.TYPE_STRING, label=optional)
    reading.field.add(
        name="at", number=2, type=kinds.TYPE_MESSAGE, label=optional, type_name=".google.protobuf.Timestamp"
    )
    reading.field.add(name="value", number=3, type=kinds.TYPE_DOUBLE, label=optional)
    reading.field.add(name="count", number=4, type=kinds.TYPE_INT64, label=optional)
    inner = reading.nested_type.add(name="Inner")
    inner.field.add(name="n", number=1, type=kinds.TYPE_INT32, label=optional)
    return file


PROTO_FILE = _file()


def proto_class(name: str) -> Any:
    """The class of a message of ``PROTO_FILE``."""
    from google.protobuf import timestamp_pb2

    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(PROTO_FILE)
    return GetMessageClass(pool.FindMessageTypeByName(f"p.{name}"))


SCHEMAS: dict[int, WrittenSchema] = {
    1: WrittenSchema("AVRO", json.dumps(AVRO)),
    2: WrittenSchema("AVRO", json.dumps(AVRO_NEXT)),
    3: WrittenSchema("PROTOBUF", base64.b64encode(PROTO_FILE.SerializeToString()).decode()),
    4: WrittenSchema("JSON", '{"type": "object"}'),
}


def known_schemas() -> KnownSchemas:
    """What a registry with ``SCHEMAS`` has given."""
    known = KnownSchemas()
    for id, schema in SCHEMAS.items():
        known.add(id, schema)
    return known


def framed(id: int, payload: bytes) -> bytes:
    """Confluent's framing."""
    return b"\0" + id.to_bytes(4, "big") + payload


def avro(value: float, at: int, id: int = 1, **more: Any) -> tuple[bytes, Headers]:
    """An Avro record."""
    out = BytesIO()
    record = {"host": "a", "at": _moment(at), "value": Decimal(str(value)), **more}
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(SCHEMAS[id].text)), record)
    return framed(id, out.getvalue()), ()


def _protobuf(value: float, at: int) -> tuple[bytes, Headers]:
    message = proto_class("Reading")(host="a", value=value)
    message.at.FromMilliseconds(at)
    # The second message of the file: one place, zigzag.
    return framed(3, bytes([2, 2]) + message.SerializeToString()), ()


# -- metrics ----------------------------------------------------------------------------------------------------------


def otlp(value: float, at: int) -> ExportMetricsServiceRequest:
    """A gauge in OpenTelemetry's format."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.add(key="host.name").value.string_value = "a"
    metric = of_resource.scope_metrics.add().metrics.add(name="cpu", unit="1")
    point = metric.gauge.data_points.add(time_unix_nano=at * 1_000_000, as_double=value)
    point.attributes.add(key="core").value.int_value = 3
    return request


def _remote_write(value: float, at: int) -> tuple[bytes, Headers]:
    request = WriteRequest()
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="cpu")
    series.labels.add(name="instance", value="a")
    series.samples.add(value=value, timestamp=at)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString())), ()


def _line(value: float, at: int) -> tuple[bytes, Headers]:
    point = Point("cpu").tag("host", "a").field("usage_idle", value).field("n", 3).field("text", 'say "hi", you')
    line: str = point.time(_moment(at), WritePrecision.NS).to_line_protocol()
    return (line + "\n").encode(), ()


PRODUCERS: dict[str, Producer] = {
    "plain": Producer("json", lambda v, at: _json({"t": at, "v": v, "host": "a"}), "t", "v", "host"),
    "array": Producer("json", lambda v, at: _json([{"t": at, "v": v, "host": "a"}]), "t", "v", "host"),
    "metricbeat": Producer(
        "json",
        lambda v, at: _json({"@timestamp": _iso(at), "system": {"cpu": {"total": {"pct": v}}}, "host": {"name": "a"}}),
        "@timestamp",
        "system.cpu.total.pct",
        "host.name",
    ),
    "telegraf": Producer(
        "json", lambda v, at: _json(_telegraf(v, at)), "timestamp", "fields.usage_idle", "tags.host", unit="seconds"
    ),
    "telegraf-batch": Producer(
        "json",
        lambda v, at: _json({"metrics": [_telegraf(v, at), _telegraf(v, at)]}),
        "timestamp",
        "fields.usage_idle",
        "tags.host",
        points="metrics",
        unit="seconds",
    ),
    "telegraf-lines": Producer(
        "line-protocol", _line, "timestamp", "fields.usage_idle", "tags.host", unit="nanoseconds"
    ),
    "prometheus-adapter": Producer(
        "json", lambda v, at: _json(_adapter(v, at)), "timestamp", "value", "labels.instance", name="up"
    ),
    "fluent-bit": Producer(
        "json",
        lambda v, at: _json({"@timestamp": at / 1000, "cpu_p": v, "hostname": "a"}),
        "@timestamp",
        "cpu_p",
        "hostname",
        unit="seconds",
    ),
    "vector": Producer(
        "json",
        lambda v, at: _json(
            {"name": "cpu", "tags": {"host": "a"}, "timestamp": _iso(at), "kind": "absolute", "gauge": {"value": v}}
        ),
        "timestamp",
        "gauge.value",
        "tags.host",
    ),
    "debezium": Producer("connect", _debezium, "payload.after.at", "payload.after.price", "payload.after.shop"),
    "cloudevents-structured": Producer("json", _structured, "time", "data.value", "data.host"),
    "cloudevents-binary": Producer("cloudevents", _binary, "time", "data.value", "data.host", headers_tell=True),
    "json-schema": Producer(
        "confluent",
        lambda v, at: (framed(4, _json({"t": at, "v": v, "host": "a"})[0]), ()),
        "t",
        "v",
        "host",
    ),
    "avro": Producer("confluent", avro, "at", "value", "host"),
    "protobuf": Producer("confluent", _protobuf, "at", "value", "host"),
    "otlp-protobuf": Producer(
        "otlp-protobuf",
        lambda v, at: (otlp(v, at).SerializeToString(), ()),
        "timestamp",
        "value",
        "resource.host.name",
    ),
    "otlp-json": Producer(
        "otlp-json",
        lambda v, at: (json_format.MessageToJson(otlp(v, at)).encode(), ()),
        "timestamp",
        "value",
        "resource.host.name",
    ),
    "remote-write": Producer("remote-write", _remote_write, "timestamp", "value", "labels.instance"),
    "messagepack": Producer(
        "messagepack", lambda v, at: (msgpack.packb({"t": at, "v": v, "host": "a"}), ()), "t", "v", "host"
    ),
}
"""The shapes in which common producers write metrics."""
