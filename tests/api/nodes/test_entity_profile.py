"""The profile of an entity that is unknown, has other fields, or has no model."""

from __future__ import annotations

import pytest

from tests.api.conftest import RunningApi, minute_records


@pytest.fixture(scope="module")
def detector(api: RunningApi) -> str:
    """A detector with two category fields that leaves one host out."""
    filter = {"bool": {"must_not": [{"term": {"host": "h2"}}]}}
    document = api.detector(api.source(minute_records(hosts=3)), category_field=["host", "region"], filter_query=filter)
    return str(api.call("POST", "/detectors", document).json()["_id"])


def entity(**values: str) -> dict[str, object]:
    return {"entity": [{"name": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (entity(), "Cannot find entity"),
        (entity(host="h1"), "Cannot find entity"),
        (entity(host="h1", port="80"), "Cannot find region"),
        (entity(host="h9", region="eu"), "Cannot find entity"),
        (entity(host="h2", region="eu"), "Cannot find entity"),
        ({"entity": {}}, "Failed to parse object: expecting token of type [START_ARRAY] but found [START_OBJECT]"),
    ],
)
def test_refused(api: RunningApi, detector: str, body: object, reason: str) -> None:
    answer = api.call("POST", f"/detectors/{detector}/_profile", body)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, reason)


def test_without_a_model_nothing_is_known(api: RunningApi, detector: str) -> None:
    path, known = f"/detectors/{detector}/_profile?_all=true", entity(host="h1", region="eu")
    assert api.call("POST", path, known).json() == {}
    assert api.call("POST", f"/detectors/{detector}/_start").status_code == 200
    assert api.call("POST", path, known).json() == {"is_active": False}
    by_one_field = api.call("GET", f"/detectors/{detector}/_profile?category_field=host&entity=h1").json()
    assert by_one_field["error"]["reason"] == "Cannot find entity"


def test_a_detector_without_categories_has_no_entities(api: RunningApi) -> None:
    id = api.call("POST", "/detectors", api.detector(api.source(minute_records()))).json()["_id"]
    answer = api.call("POST", f"/detectors/{id}/_profile", entity(host="h1"))
    assert answer.json()["error"]["reason"] == "This is not a high cardinality detector"
    other = api.call("POST", f"/detectors/{id}/_profile", {"x": 1, **entity(host="h1")})
    assert other.json() == {"state": "DISABLED"}
