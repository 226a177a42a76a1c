"""Every kind of metric of OpenTelemetry is read, from Protobuf and from JSON alike."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from streams.formats.otlp import OtlpJson, OtlpProtobuf
from tests.streams.formats.samples import AT


def point_of(metric: dict[str, Any]) -> dict[str, Any]:
    """The only point of a request that holds one metric, read in both ways."""
    document = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", **metric}]}]}]}
    request = json_format.ParseDict(document, ExportMetricsServiceRequest())
    (point,) = OtlpProtobuf().read(request.SerializeToString(), ())
    assert OtlpJson().read(json_format.MessageToJson(request).encode(), ()) == [point]
    assert isinstance(point, dict)
    return {name: value for name, value in point.items() if name not in ("name", "unit", "resource", "scope")}


BASE = {"timeUnixNano": str(AT * 1_000_000)}


def test_a_counter() -> None:
    point = {**BASE, "asInt": "7", "attributes": [{"key": "core", "value": {"intValue": "3"}}]}
    found = point_of({"sum": {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}})
    assert found == {"timestamp": AT, "attributes": {"core": 3}, "value": 7, "temporality": "cumulative"}


def test_a_histogram_has_counts_the_mean_and_quantiles() -> None:
    point = {**BASE, "count": "20", "sum": 150.0, "bucketCounts": ["10", "10", "0"], "explicitBounds": [10.0, 20.0]}
    found = point_of({"histogram": {"dataPoints": [{**point, "min": 0.0, "max": 18.0}], "aggregationTemporality": 1}})
    assert {name: found[name] for name in ("count", "sum", "mean", "min", "max", "temporality")} == {
        "count": 20,
        "sum": 150.0,
        "mean": 7.5,
        "min": 0.0,
        "max": 18.0,
        "temporality": "delta",
    }
    assert (found["p50"], found["p90"]) == (10.0, pytest.approx(16.4))


def test_a_histogram_without_anything_in_it_has_no_quantile() -> None:
    found = point_of({"histogram": {"dataPoints": [{**BASE, "count": "0", "sum": 0.0}]}})
    assert (found["count"], found["mean"], found["p50"]) == (0, None, None)


def test_an_exponential_histogram() -> None:
    # Scale 0: the buckets are (1, 2], (2, 4], (4, 8].
    point = {**BASE, "count": "4", "sum": 16.0, "scale": 0, "positive": {"offset": 0, "bucketCounts": ["1", "1", "2"]}}
    found = point_of({"exponentialHistogram": {"dataPoints": [point]}})
    assert (found["count"], found["mean"], found["p50"]) == (4, 4.0, 4.0)
    assert found["p99"] == pytest.approx(7.92)


def test_a_summary() -> None:
    point = {**BASE, "count": "2", "sum": 6.0, "quantileValues": [{"quantile": 0.99, "value": 5.0}]}
    found = point_of({"summary": {"dataPoints": [point]}})
    assert (found["count"], found["sum"], found["mean"], found["p99"]) == (2, 6.0, 3.0, 5.0)


def test_a_point_without_a_value_has_none() -> None:
    assert "value" not in point_of({"gauge": {"dataPoints": [{**BASE, "asDouble": 1.0, "flags": 1}]}})


def test_a_number_that_is_none_is_a_text_which_stands_for_no_value() -> None:
    assert point_of({"gauge": {"dataPoints": [{**BASE, "asDouble": "NaN"}]}})["value"] == "nan"
