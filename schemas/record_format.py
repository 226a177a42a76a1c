"""The formats that records of topics may be in, besides whatever else producers may think of."""

from __future__ import annotations

from typing import Literal

RecordFormat = Literal[
    "json",
    "connect",
    "confluent",
    "otlp-json",
    "otlp-protobuf",
    "line-protocol",
    "remote-write",
    "cloudevents",
    "messagepack",
]

RECORD_FORMATS: dict[RecordFormat, str] = {
    "json": "JSON",
    "connect": "JSON of Kafka Connect or Debezium, with its schema",
    "confluent": "Confluent's framing with a schema id (Avro, Protobuf or JSON Schema)",
    "otlp-json": "OpenTelemetry metrics, OTLP as JSON",
    "otlp-protobuf": "OpenTelemetry metrics, OTLP as Protobuf",
    "line-protocol": "InfluxDB line protocol",
    "remote-write": "Prometheus remote write",
    "cloudevents": "CloudEvents",
    "messagepack": "MessagePack",
}
"""Each format with the name that people know it by."""
