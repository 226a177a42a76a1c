"""Bodies of requests and answers for the OpenAPI document: the members that clients use, not all."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "integer", "format": "int64", "description": "epoch milliseconds"}
_OBJECT: dict[str, Any] = {"type": "object"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    properties = {name.removesuffix("_"): schema for name, schema in properties.items()}  # from_ is from
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


_PERIOD = _object(
    ("period",),
    period=_object(
        ("interval", "unit"),
        interval={"type": "integer", "minimum": 0},
        unit={"type": "string", "enum": ["Seconds", "Minutes"]},
    ),
)
_FEATURE = _object(
    ("feature_name", "aggregation_query"),
    feature_name=_TEXT,
    feature_enabled={"type": "boolean", "default": True},
    aggregation_query={
        "type": "object",
        "example": {"mean": {"avg": {"field": "value"}}},
        "description": "one of sum, avg, min, max, value_count, cardinality, percentiles and "
        "median_absolute_deviation, or a filter around it",
    },
)
_NAMED = _object(("name", "value"), name=_TEXT, value=_TEXT)

SCHEMAS: dict[str, dict[str, Any]] = {
    "Detector": _object(
        ("name", "time_field", "indices", "feature_attributes", "detection_interval"),
        name={"type": "string", "pattern": "^[a-zA-Z0-9._-]+$", "maxLength": 64},
        description=_TEXT,
        time_field=_TEXT,
        indices={**_list(_TEXT), "description": "Kafka topics, with wildcards"},
        feature_attributes=_list(_FEATURE),
        filter_query={"type": "object", "example": {"match_all": {}}},
        detection_interval=_PERIOD,
        window_delay=_PERIOD,
        category_field={**_list(_TEXT), "maxItems": 2},
        shingle_size={"type": "integer", "minimum": 1},
        result_index=_TEXT,
    ),
    "Search": _object(
        query={"type": "object", "example": {"match_all": {}}},
        size={"type": "integer", "minimum": 0},
        sort=_list(_OBJECT),
        aggs=_OBJECT,
        search_after={"type": "array"},
        track_total_hits={"type": "boolean"},
        from_={"type": "integer", "minimum": 0},
    ),
    "Range": _object(("start_time", "end_time"), start_time=_TIME, end_time=_TIME),
    "Preview": _object(
        ("period_start", "period_end"),
        period_start=_TIME,
        period_end=_TIME,
        detector={"$ref": "#/components/schemas/Detector"},
    ),
    "TopAnomalies": _object(
        ("start_time_ms", "end_time_ms"),
        start_time_ms=_TIME,
        end_time_ms=_TIME,
        size={"type": "integer", "minimum": 1, "maximum": 1000},
        order={"type": "string", "enum": ["severity", "occurrence"]},
        category_field=_list(_TEXT),
        task_id=_TEXT,
    ),
    "Entity": _object(entity=_list(_NAMED)),
    "Hits": _object(
        ("took", "timed_out", "hits"),
        took={"type": "integer"},
        timed_out={"type": "boolean"},
        hits=_object(("hits",), hits=_list(_object(("_index", "_id"), _index=_TEXT, _id=_TEXT, _source=_OBJECT))),
        aggregations=_OBJECT,
    ),
    "Written": _object(
        ("_id", "_version", "_seq_no", "_primary_term"),
        _id=_TEXT,
        _version={"type": "integer"},
        _seq_no={"type": "integer"},
        _primary_term={"type": "integer"},
        anomaly_detector=_OBJECT,
    ),
    "Count": _object(("count", "match"), count={"type": "integer"}, match={"type": "boolean"}),
    "Buckets": _object(
        ("buckets",),
        buckets=_list(
            _object(
                ("key", "doc_count", "max_anomaly_grade"),
                key=_OBJECT,
                doc_count={"type": "integer"},
                max_anomaly_grade={"type": "number"},
            )
        ),
    ),
}

_ID = "/detectors/{detectorID}"

REQUESTS: dict[str, str] = {
    "/detectors": "Detector",
    _ID: "Detector",
    "/detectors/_validate": "Detector",
    "/detectors/_validate/{type}": "Detector",
    "/detectors/_suggest/{types}": "Detector",
    _ID + "/_start": "Range",
    _ID + "/_preview": "Preview",
    "/detectors/_preview": "Preview",
    _ID + "/_run": "Preview",
    _ID + "/_profile": "Entity",
    _ID + "/_profile/{type}": "Entity",
    _ID + "/results/_topAnomalies": "TopAnomalies",
}
"""The body of a route by its tail; routes that take a search have ``Search``."""

ANSWERS: dict[tuple[str, str], str] = {
    ("POST", "/detectors"): "Written",
    ("PUT", _ID): "Written",
    ("GET", _ID): "Written",
    ("GET", "/detectors/count"): "Count",
    ("GET", "/detectors/match"): "Count",
    **{
        (method, f"/detectors/{tail}"): "Hits"
        for method in ("GET", "POST")
        for tail in ("_search", "tasks/_search", "results/_search", "results/_search/{resultIndex}")
    },
    **{(method, _ID + "/results/_topAnomalies"): "Buckets" for method in ("GET", "POST")},
}
"""The answer of a route, by method and tail, where it has one form."""
