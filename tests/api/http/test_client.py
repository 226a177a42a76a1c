"""OpenSearch's Python client drives the life cycle, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, TransportError

from tests.api.conftest import RunningApi, minute_records

AD = "/_plugins/_anomaly_detection/detectors"


@pytest.fixture
def client(api: RunningApi) -> Iterator[OpenSearch]:
    """A client as its documentation makes one."""
    address = urlsplit(api.url)
    with OpenSearch(hosts=[{"host": address.hostname, "port": address.port}]) as made:
        yield made


def test_life_cycle(client: OpenSearch, api: RunningApi) -> None:
    assert client.ping()
    assert client.info()["version"]["distribution"] == "opensearch"
    ask = client.transport.perform_request

    created = ask("POST", AD, body=api.detector(api.source(minute_records()), name="py"))
    id = created["_id"]
    assert ask("HEAD", f"{AD}/{id}") is True
    assert ask("GET", f"{AD}/match", params={"name": "py"})["match"] is True
    assert ask("POST", f"{AD}/{id}/_start") == {"_id": id, "_version": 1, "_seq_no": 0, "_primary_term": 1}
    assert ask("GET", f"{AD}/{id}", params={"job": "true", "task": "true"})["anomaly_detector_job"]["enabled"]
    running = ask("POST", f"{AD}/{id}/_start")
    assert "already running" in running["error"]["reason"]
    query = {"query": {"bool": {"filter": [{"term": {"detector_id": id}}, {"term": {"is_latest": "true"}}]}}}
    for method in ("GET", "POST"):
        found = ask(method, f"{AD}/tasks/_search", body=query)
        assert found["hits"]["total"]["value"] == 1
        assert found["hits"]["hits"][0]["_source"]["state"] == "CREATED"
    assert ask("POST", f"{AD}/{id}/_stop")["_id"] == id
    history = ask("POST", f"{AD}/{id}/_start", body={"start_time": 1, "end_time": 2})
    assert ask("POST", f"{AD}/{id}/_stop", params={"historical": "true"})["_id"] == history["_id"]
    updated = ask(
        "PUT",
        f"{AD}/{id}",
        params={"if_seq_no": created["_seq_no"], "if_primary_term": 1, "refresh": "wait_for"},
        body=api.detector(api.source(minute_records()), name="py"),
    )
    assert updated["_version"] == 2
    assert ask("POST", f"{AD}/results/_search", body={"query": {"match_all": {}}})["hits"]["hits"] == []
    assert ask("GET", "/_plugins/_anomaly_detection/stats/detector_count")["detector_count"] == 1
    assert ask("DELETE", f"{AD}/{id}")["result"] == "deleted"
    with pytest.raises(NotFoundError) as missing:
        ask("GET", f"{AD}/{id}")
    assert missing.value.info["error"]["reason"] == f"Can't find config with id: {id}"
    with pytest.raises(TransportError) as refused:
        ask("GET", AD)
    assert refused.value.status_code == 405
