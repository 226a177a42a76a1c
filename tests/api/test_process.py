"""What the API says before there is anything, and while Kafka or the views are not there."""

from __future__ import annotations

from pathlib import Path

import httpx

from api.process import ApiProcess
from api.settings import ApiSettings
from deploy.local_kafka.broker import free_port
from tests.api.conftest import AD, RunningApi, serving
from tests.deadlines import REQUEST, eventually


def test_nothing_was_ever_made(api: RunningApi) -> None:
    for method, path in [
        ("DELETE", "/detectors/x"),
        ("POST", "/detectors/x/_start"),
        ("POST", "/detectors/x/_stop"),
    ]:
        answer = api.call(method, path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "index_not_found_exception")
    assert api.call("GET", "/detectors/x").json()["error"]["reason"] == "Can't find config with id: x"
    stats = api.call("GET", "/stats").json()
    assert stats["anomaly_detectors_index_status"] == "non-existent"
    assert stats["detector_count"] == 0
    assert api.call("GET", "/detectors/match").json() == {"count": 0, "match": False}


def test_without_kafka(tmp_path: Path) -> None:
    process = ApiProcess(ApiSettings(brokers=f"127.0.0.1:{free_port()}", data=tmp_path))
    with serving(process) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:
        health = client.get("/_health")
        assert (health.status_code, health.json()["status"]) == (503, "red")
        assert client.get("/").status_code == 200
        answer = client.get(AD + "/detectors/x")
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "service_unavailable_exception"
        assert "Kafka" in answer.json()["error"]["reason"]


def test_topics_that_are_missing_are_named(api: RunningApi, tmp_path: Path) -> None:
    process = ApiProcess(ApiSettings(brokers=api.broker.bootstrap, prefix="nobody-made-these.", data=tmp_path))
    with serving(process) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:

        def reason_given() -> str:
            reason = str(client.get(AD + "/detectors/count").json()["error"]["reason"])
            return reason if "missing topics" in reason else ""

        reason = eventually("it says what is missing", reason_given)
        assert "nobody-made-these.state" in reason
        assert "riverwatch topics apply" in reason
