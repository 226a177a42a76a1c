"""Whatever is sent, the answer is in the envelope and never a fault of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.http.routes import ROUTES
from tests.api.conftest import RunningApi, minute_records

MEMBERS = (
    "query bool filter must term terms range size from sort aggs _source detector_id entity name indices time_field "
    "feature_attributes aggregation_query avg field detection_interval period interval unit start_time end_time "
    "start_time_ms end_time_ms category_field period_start period_end detector rules conditions filter_query order "
    "track_total_hits search_after nested path gte lte exists ids values wildcard query_string"
)
NAMES = st.sampled_from(MEMBERS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["now-1d", "Minutes", "asc", "detector_id", "*", "[", '"', "a AND (", "\ud7ff"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30)
SLOW = ("/_preview",)
"""A preview waits for a worker; its body is read as the others' are."""

CALLS = [
    (method, next(route.paths())[1])
    for route in ROUTES
    for method in route.methods
    if method != "HEAD" and not route.tail.endswith(SLOW)
]


@pytest.fixture(scope="module")
def detector_id(api: RunningApi) -> str:
    """A detector, so that nothing ends with 404 for want of one."""
    document = api.detector(api.source(minute_records()), category_field=["host"])
    return str(api.call("POST", "/detectors", document).json()["_id"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(CALLS),
    segment=st.sampled_from(["", "", "", "x", "_all", "%00", "%ff", "a,b", "..", "state,models"]),
    body=BODIES | st.just(b""),
    query=st.sampled_from(
        ["", "?_all", "?historical=true", "?refresh=x", "?filter_path=**.x,-a.*", "?size=%ff", "?job&task"]
    ),
)
def test_never_a_fault(
    api: RunningApi, detector_id: str, call: tuple[str, str], segment: str, body: bytes, query: str
) -> None:
    method, path = call
    for name in ("detectorID", "type", "types", "stat", "nodeId", "resultIndex"):
        path = path.replace("{" + name + "}", segment or detector_id)
    headers = {"Content-Type": "application/json"} if body else {}
    answer = api.client.request(method, path + query, content=body, headers=headers)
    shown: Any = answer.json() if answer.headers["content-type"].startswith("application/json") else answer.text
    if answer.status_code >= 400 and isinstance(shown, dict) and "filter_path" not in query:
        error = shown["error"]
        assert isinstance(error, str) or {"type", "reason", "root_cause"} <= error.keys()
        assert isinstance(error, str) or error["type"] != "internal_server_error", (error, body)
