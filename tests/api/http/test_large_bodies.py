"""Bodies of megabytes, of whatever there can be many of: refused or answered soon, and never a fault of ours."""

from __future__ import annotations

import json

import pytest

from tests.api.conftest import AD, RunningApi
from tests.api.results.test_routes import create, result, write
from tests.deadlines import REQUEST

LARGE = 4_000_000
SEARCHES = ("/detectors/_search", "/detectors/results/_search")
"""Far more than it takes: what this finds takes minutes."""


def body(**members: object) -> bytes:
    return json.dumps(members).encode()


BODIES: dict[str, tuple[tuple[str, ...], bytes]] = {
    "arrays in arrays": (SEARCHES, b"[" * LARGE),
    "objects in objects": (SEARCHES, b'{"query":' * (LARGE // 10)),
    "one long text": (SEARCHES, body(query={"term": {"detector_id": "x" * LARGE}})),
    "one long number": (SEARCHES, b'{"size":' + b"9" * LARGE + b"}"),
    "no UTF-8": (SEARCHES, b'{"query":{"term":{"a":"' + b"\xff" * LARGE + b'"}}}'),
    "terms": (SEARCHES, body(query={"terms": {"detector_id": [str(n) for n in range(300_000)]}})),
    "ids": (SEARCHES, body(query={"ids": {"values": [str(n) for n in range(300_000)]}})),
    "clauses": (SEARCHES, body(query={"bool": {"must": [{"term": {"a": 1}}] * 100_000}})),
    "brackets": (SEARCHES, body(query={"query_string": {"query": "(" * 100_000}})),
    "a regexp": (SEARCHES, body(aggs={"a": {"terms": {"field": "detector_id", "include": "(a*)*" * 150}}})),
    "a wildcard": (SEARCHES, body(query={"wildcard": {"detector_id": "*a" * 400}})),
    "aggregations": (SEARCHES, body(aggs={str(n): {"max": {"field": "anomaly_grade"}} for n in range(30_000)})),
    "filters": (SEARCHES, body(aggs={"a": {"filters": {"filters": [{"match_all": {}}] * 65_000}}})),
    "sort keys": (SEARCHES, body(sort=[{"anomaly_grade": "desc"}] * 50_000)),
    "names": (SEARCHES, body(_source=[f"a*{n}" for n in range(200_000)])),
    "members": (("/detectors", *SEARCHES), body(**{str(n): n for n in range(200_000)})),
    "topics": (("/detectors", "/detectors/_validate"), body(name="x", time_field="t", indices=["a"] * 300_000)),
    "features": (("/detectors", "/detectors/_validate"), body(name="x", feature_attributes=[{}] * 300_000)),
}


@pytest.fixture(scope="module", autouse=True)
def something(api: RunningApi) -> None:
    """A detector and results, so that searches have something to look at."""
    write(api, [result(create(api), number, "h", 0.5) for number in range(20)])


@pytest.mark.parametrize("name", BODIES)
def test_large_bodies(api: RunningApi, name: str) -> None:
    paths, content = BODIES[name]
    for path in paths:
        answer = api.client.post(
            AD + path, content=content, headers={"Content-Type": "application/json"}, timeout=REQUEST
        )
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert error["reason"]
            assert error["type"] not in ("internal_server_error", "timeout_exception"), error
            assert len(answer.content) < 20_000
    assert api.client.get("/_health").status_code == 200
