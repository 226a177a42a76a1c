"""The HTTP layer as OpenSearch's: paths, methods, parameters, bodies, content types."""

from __future__ import annotations

from tests.api.conftest import RunningApi, minute_records


def test_life_of_a_detector(api: RunningApi) -> None:
    source = api.source(minute_records())
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

    assert api.call("POST", f"/detectors/{id}/_start").json()["_id"] == id
    again = api.call("POST", f"/detectors/{id}/_start")
    assert again.status_code == 200
    assert again.json()["error"]["reason"] == f"Anomaly detector job is already running: {id}"
    assert again.json()["status"] == 200
    got = api.call("GET", f"/detectors/{id}?job=true&task=true").json()
    assert got["anomaly_detector_job"]["enabled"] is True
    assert got["realtime_task"]["task_id"] == f"rt-{id}"

    stopped = api.call("POST", f"/detectors/{id}/_stop").json()
    assert stopped == {"_id": id, "_version": 0, "_seq_no": 0, "_primary_term": 0}
    updated = api.call("PUT", f"/detectors/{id}", api.detector(source, name="cpu2"))
    assert updated.status_code == 200
    assert updated.json()["_version"] == 2
    assert api.call("GET", "/detectors/match?name=cpu2").json() == {"count": 0, "match": True}
    assert api.call("GET", "/detectors/match?name=cpu").json() == {"count": 0, "match": False}
    assert api.call("GET", "/detectors/count").json() == {"count": 1, "match": False}
    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "deleted"
    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "not_found"
    assert api.call("GET", f"/detectors/{id}").status_code == 404
