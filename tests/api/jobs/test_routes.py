"""Starting and stopping, through the API."""

from __future__ import annotations

from api.nodes.view import NO_WORKER
from tests.api.conftest import RunningApi, minute_records


def test_realtime(api: RunningApi) -> None:
    id = api.call("POST", "/detectors", api.detector(api.source(minute_records()))).json()["_id"]
    started = api.call("POST", f"/detectors/{id}/_start").json()
    assert started == {"_id": id, "_version": 1, "_seq_no": 0, "_primary_term": 1}
    again = api.call("POST", f"/detectors/{id}/_start")
    assert again.status_code == 200
    assert again.json()["status"] == 200
    assert again.json()["error"]["reason"] == f"Anomaly detector job is already running: {id}"
    got = api.call("GET", f"/detectors/{id}?job=true&task=true").json()
    assert got["anomaly_detector_job"]["enabled"] is True
    assert got["realtime_task"]["task_id"] == f"rt-{id}"
    assert api.call("GET", f"/detectors/{id}/_profile").json() == {"state": "INIT", "error": NO_WORKER}

    stopped = api.call("POST", f"/detectors/{id}/_stop").json()
    assert stopped == {"_id": id, "_version": 0, "_seq_no": 0, "_primary_term": 0}
    again = api.call("POST", f"/detectors/{id}/_stop")
    assert (again.status_code, again.json()["error"]["reason"]) == (200, f"job is already stopped: {id}")
    assert api.call("GET", f"/detectors/{id}/_profile").json() == {"state": "DISABLED"}
    assert api.call("POST", f"/detectors/{id}/_start?from=earliest").status_code == 200
    assert api.call("POST", f"/detectors/{id}/_start?from=noon").status_code == 400


def test_historical(api: RunningApi) -> None:
    id = api.call("POST", "/detectors", api.detector(api.source(minute_records()))).json()["_id"]
    path = f"/detectors/{id}/_start"

    def refused(body: object) -> str:
        answer = api.call("POST", path, body)
        assert answer.status_code == 400
        return str(answer.json()["error"]["reason"])

    assert refused({}) == "Detection data range's start time must not be null"
    assert refused({"start_time": 5}) == "Detection data range's end time must not be null"
    assert refused({"start_time": 5, "end_time": 4}) == "Detection data range's end time must be after start time"
    assert refused({"start_time": "1", "end_time": "x"}) == 'For input string: "x"'
    stop = f"/detectors/{id}/_stop?historical"
    assert api.call("POST", stop).json()["error"]["reason"] == "Detector not started"

    started = api.call("POST", path, {"start_time": "1", "end_time": 2, "more": 1}).json()
    task = api.call("GET", f"/detectors/{id}?task=true").json()["historical_analysis_task"]
    assert task["task_id"] == started["_id"]
    assert task["detection_date_range"] == {"start_time": 1, "end_time": 2}
    running = api.call("GET", f"/detectors/{id}/_profile?_all=true").json()
    assert running["state"] == "DISABLED"
    assert running["ad_task"]["task_id"] == started["_id"]
    assert api.call("POST", stop).json()["_id"] == started["_id"]
    assert api.call("POST", stop).json()["error"]["reason"] == "No running task found"


def test_a_delay_that_nobody_gave_is_shown_as_opensearchs_default_and_measured(api: RunningApi) -> None:
    given = {
        **api.detector(api.source(minute_records())),
        "window_delay": {"period": {"interval": 2, "unit": "Minutes"}},
    }
    left_out = {name: value for name, value in given.items() if name != "window_delay"} | {"name": "left-out"}
    for document, period, told in ((given, (2, "Minutes"), "120 s"), (left_out, (0, "Seconds"), "auto")):
        id = api.call("POST", "/detectors", document).json()["_id"]
        shown = api.call("GET", f"/detectors/{id}").json()["anomaly_detector"]
        assert shown["window_delay"] == {"period": {"interval": period[0], "unit": period[1]}}
        assert list(shown)[:6] == ["name", "description", "time_field", "indices", "filter_query", "window_delay"]
        assert api.call("GET", f"/detectors/{id}/_profile/window_delay").json() == {"window_delay": told}
