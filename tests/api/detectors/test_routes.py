"""Detectors through the API, on a real Kafka."""

from __future__ import annotations

from tests.api.conftest import RunningApi, minute_records


def test_life_of_a_detector(api: RunningApi) -> None:
    source = api.source(minute_records())
    before = api.call("GET", "/detectors/count").json()["count"]
    created = api.call("POST", "/detectors", api.detector(source, name="cpu", description="a <b>"))
    assert created.status_code == 201
    id = created.json()["_id"]
    assert created.headers["location"] == f"/_opendistro/_anomaly_detection/{id}"
    assert created.json()["anomaly_detector"]["description"] == "a &lt;b&gt;"
    assert (created.json()["_version"], created.json()["_primary_term"]) == (1, 1)

    got = api.client.get(f"/_anomaly_detection/api/detectors/{id}/?job&task=true").json()
    assert got["anomaly_detector"] == created.json()["anomaly_detector"]
    assert got["anomaly_detector_job"] is None
    assert got["realtime_task"] is None
    assert got["realtime_detection_task"] is None

    updated = api.call("PUT", f"/detectors/{id}", api.detector(source, name="cpu2"))
    assert updated.status_code == 200
    assert updated.json()["_version"] == 2
    assert updated.json()["_seq_no"] > created.json()["_seq_no"]
    assert api.call("GET", "/detectors/match?name=cpu2").json() == {"count": 0, "match": True}
    assert api.call("GET", "/detectors/match?name=cpu").json() == {"count": 0, "match": False}
    assert api.call("GET", "/detectors/count").json() == {"count": before + 1, "match": False}

    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "deleted"
    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "not_found"
    assert api.call("GET", f"/detectors/{id}").status_code == 404


def test_what_topics_and_other_detectors_refuse(api: RunningApi) -> None:
    source = api.source(minute_records())
    empty = api.source([])
    before = api.call("GET", "/detectors/count").json()["count"]
    assert api.call("POST", "/detectors", api.detector(source, name="taken")).status_code == 201

    def refused(**members: object) -> tuple[int, str, str]:
        answer = api.call("POST", "/detectors", api.detector(source, **members))
        error = answer.json()["error"]
        return answer.status_code, error["type"], error["reason"]

    feature = {"feature_name": "f", "feature_enabled": True}
    assert refused(indices=["nope"]) == (404, "index_not_found_exception", "no such index [nope]")
    assert refused(indices=[empty])[2] == (
        f"Can't create anomaly detector as no document is found in the indices: [{empty}]"
    )
    assert refused(name="x", time_field="no") == (
        500,
        "status_exception",
        "Validation failed for timefield of x,  Exceptions: "
        f"[Timestamp field: (no) is not found in the ({source}) index mapping]",
    )
    assert "must be of type date" in refused(time_field="host")[2]
    assert refused(category_field=["value"])[2] == "Categorical field value must be of type keyword or ip."
    assert refused(category_field=["no"])[2] == f"Can't find the categorical field no in index [{source}]"
    assert refused(name="taken")[:2] == (409, "status_exception")
    missing = {**feature, "aggregation_query": {"a": {"avg": {"field": "no"}}}}
    assert "returning empty aggregated data: f" in refused(feature_attributes=[missing])[2]
    text = {**feature, "aggregation_query": {"a": {"avg": {"field": "host"}}}}
    assert "causing a runtime exception: f" in refused(feature_attributes=[text])[2]
    assert api.call("GET", "/detectors/count").json()["count"] == before + 1


def test_a_parsing_error_says_where(api: RunningApi) -> None:
    answer = api.client.post(
        "/_plugins/_anomaly_detection/detectors",
        content='{"name": "x",\n "detection_interval": "1m"}',
        headers={"Content-Type": "application/json"},
    )
    error = answer.json()["error"]
    assert (error["type"], error["line"], error["col"]) == ("parsing_exception", 2, 24)
    assert (error["root_cause"][0]["line"], error["root_cause"][0]["col"]) == (2, 24)
