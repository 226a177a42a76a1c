"""OpenTelemetry metrics: https://opentelemetry.io/docs/specs/otlp/, as Protobuf and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.plain import plain

QUANTILES = (0.5, 0.9, 0.95, 0.99)
"""Of histograms, as ``p50`` and so on: between the bounds of a bucket they are interpolated linearly."""

_NOTHING_RECORDED = 1
_TEMPORALITIES = {1: "delta", 2: "cumulative"}


class OtlpProtobuf:
    """The codec of Protobuf. Each data point is a point.

    Its members are ``name``, ``unit``, ``timestamp`` (epoch ms), ``attributes``, ``resource`` and ``scope``; of gauges
    and sums ``value``, of histograms and summaries ``count``, ``sum``, ``mean``, ``min``, ``max``, ``p50``, ``p90``,
    ``p95`` and ``p99``, as far as they are known.
    """

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``."""
        try:
            return list(_points(ExportMetricsServiceRequest.FromString(value)))
        except DecodeError as error:
            raise Unreadable(f"no OTLP metrics: {str(error)[:200]}") from None


class OtlpJson:
    """The codec of JSON, with the same points."""

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``."""
        try:
            text = value.decode()
            return list(_points(json_format.Parse(text, ExportMetricsServiceRequest(), ignore_unknown_fields=True)))
        except (json_format.ParseError, ValueError, RecursionError) as error:
            raise Unreadable(f"no OTLP metrics: {str(error)[:200]}") from None


def _points(request: Any) -> Iterator[Point]:
    for of_resource in request.resource_metrics:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            scope = {"name": of_scope.scope.name, "version": of_scope.scope.version}
            for metric in of_scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                shared = {"name": metric.name, "unit": metric.unit, "resource": resource, "scope": scope}
                if hasattr(data, "aggregation_temporality"):
                    shared["temporality"] = _TEMPORALITIES.get(data.aggregation_temporality)
                for point in data.data_points:
                    yield {
                        **shared,
                        "timestamp": point.time_unix_nano // 1_000_000 or None,
                        "attributes": _attributes(point.attributes),
                        **({} if point.flags & _NOTHING_RECORDED else _measured(kind, point)),
                    }


def _measured(kind: str, point: Any) -> dict[str, Any]:
    if kind in ("gauge", "sum"):
        which = point.WhichOneof("value")
        return {} if which is None else {"value": plain(getattr(point, which))}
    found: dict[str, Any] = {"count": point.count}
    if kind == "summary" or point.HasField("sum"):
        found["sum"] = plain(point.sum)
        found["mean"] = plain(point.sum / point.count) if point.count else None
    if kind == "summary":
        return found | {_name(each.quantile): plain(each.value) for each in point.quantile_values}
    for name in ("min", "max"):
        if point.HasField(name):
            found[name] = plain(getattr(point, name))
    buckets = list(_explicit(point) if kind == "histogram" else _exponential(point))
    for quantile in QUANTILES:
        found[_name(quantile)] = _quantile(buckets, quantile, found.get("min"), found.get("max"))
    return found


def _explicit(point: Any) -> Iterator[tuple[float, float, int]]:
    bounds = [-math.inf, *point.explicit_bounds, math.inf]
    for place, count in enumerate(point.bucket_counts):
        yield bounds[place], bounds[place + 1], count


def _exponential(point: Any) -> Iterator[tuple[float, float, int]]:
    """Bucket ``i`` of scale ``s`` holds what is in ``(base**i, base**(i+1)]`` with ``base = 2**(2**-s)``."""

    def bound(place: int) -> float:
        exponent = math.ldexp(place, -point.scale)
        return 2.0**exponent if exponent < 1024 else math.inf

    for place in range(len(point.negative.bucket_counts) - 1, -1, -1):
        at = point.negative.offset + place
        yield -bound(at + 1), -bound(at), point.negative.bucket_counts[place]
    yield -point.zero_threshold, point.zero_threshold, point.zero_count
    for place, count in enumerate(point.positive.bucket_counts):
        at = point.positive.offset + place
        yield bound(at), bound(at + 1), count


def _quantile(
    buckets: Sequence[tuple[float, float, int]], quantile: float, least: float | None, most: float | None
) -> float | None:
    """The value below which this share lies, None without any; a bucket without an end ends at its other bound.

    >>> _quantile([(0.0, 10.0, 10), (10.0, math.inf, 10)], 0.25, None, None)
    5.0
    """
    wanted = quantile * sum(count for _, _, count in buckets)
    if not wanted:
        return None
    for low, high, count in buckets:
        if count and wanted <= count:
            low = max(low, -math.inf if least is None else least)
            high = min(high, math.inf if most is None else most)
            low = high if math.isinf(low) else low
            high = low if math.isinf(high) else high
            return None if math.isinf(low) else low + (high - low) * wanted / count
        wanted -= count
    return None


def _name(quantile: float) -> str:
    return f"p{quantile * 100:g}"


def _attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: _any(each.value) for each in attributes}


def _any(value: Any) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    found = getattr(value, which)
    if which == "array_value":
        return [_any(each) for each in found.values]
    return _attributes(found.values) if which == "kvlist_value" else plain(found)
