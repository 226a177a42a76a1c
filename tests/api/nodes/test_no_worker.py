"""Wherever one looks at a detector it is said that no worker is there to run it, and what became of its records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from api.nodes.view import NO_WORKER
from schemas.node import Node, encode_node
from schemas.state import StoredTask, encode
from schemas.task import Task
from tests.api.conftest import RunningApi, minute_records, running_api
from tests.command_line import detectors
from tests.conftest import Broker

LATE = "412 records of metrics were late (a longer window_delay would take them in)"
UNREAD = "2,000 records of metrics/3 were deleted by retention before they were read"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def api(broker: Broker) -> Iterator[RunningApi]:
    """An API that soon takes a silent worker for gone."""
    with running_api(broker, node_silence=2.0) as running:
        yield running


def heartbeat(api: RunningApi) -> None:
    """What a worker says of itself; its clock is an hour behind."""
    counters = dict.fromkeys((name for name in Node.__struct_fields__ if name.startswith("ad_")), 0)
    at = int(time.time() * 1000) - HOUR
    node = {**counters, "node_id": "w", "time": at, "started": at, "model_count": 0}
    whole = msgspec.convert({**node, "models": [], "runs": [], "dead_letters": {}}, Node)
    api.topics["nodes"].produce(b"w", encode_node(whole), partition=0)


def report(api: RunningApi, id: str, error: str) -> None:
    """What the coordinator says of the detector's real-time task."""
    now = int(time.time() * 1000)
    task = Task(
        task_type="REALTIME_SINGLE_ENTITY",
        state="RUNNING",
        detector_id=id,
        is_latest=True,
        execution_start_time=now,
        last_update_time=now,
        error=error,
    )
    stored = StoredTask(id=f"rt-{id}", version=2, control_offset=0, document=task)
    api.topics["state"].produce(f"rt-{id}".encode(), encode(stored), partition=0)


def until(api: RunningApi, id: str, wanted: Callable[[str], bool], each: Callable[[], None] = lambda: None) -> None:
    """Return when the profile's error is as wanted."""
    for _ in range(600):
        each()
        error = api.call("GET", f"/detectors/{id}/_profile/error").json()["error"]
        if wanted(error):
            return
        time.sleep(0.1)
    raise AssertionError(f"the error is still {error!r}")


def shown(api: RunningApi, id: str) -> dict[str, Any]:
    """What the API and the command line say of the detector's real-time detection."""
    got = api.call("GET", f"/detectors/{id}?task=true").json()
    lines = [json.loads(line) for line in detectors(api.url, "list", "--json").splitlines()]
    return {
        "task": got["realtime_task"].get("error"),
        "list": next(line["note"] for line in lines if line["id"] == id),
        "get": " ".join(detectors(api.url, "get", id).split()),
    }


def test_what_is_wrong_with_a_running_detector_is_said(api: RunningApi) -> None:
    id = api.call("POST", "/detectors", api.detector(api.source(minute_records()), name="cpu")).json()["_id"]
    assert api.call("POST", f"/detectors/{id}/_start").status_code == 200
    until(api, id, NO_WORKER.__eq__)
    said = shown(api, id)
    assert (said["task"], said["list"]) == (NO_WORKER, NO_WORKER)
    assert f"real time error {NO_WORKER}" in said["get"]
    assert detectors(api.url, "list").splitlines()[1].endswith("no worker is running")

    until(api, id, "".__eq__, lambda: heartbeat(api))
    report(api, id, f"{UNREAD}; {LATE}")
    until(api, id, f"{UNREAD}; {LATE}".__eq__, lambda: heartbeat(api))
    heartbeat(api)
    assert f"{UNREAD}; {LATE}" in shown(api, id)["get"]
    until(api, id, f"{NO_WORKER}; {UNREAD}; {LATE}".__eq__)
    table = detectors(api.url, "list").splitlines()
    assert table[0].split()[-1] == "NOTE"
    assert table[1].endswith("no worker is running (+2)")
    hits = api.call("POST", "/detectors/tasks/_search", {"query": {"ids": {"values": [f"rt-{id}"]}}}).json()["hits"]
    assert hits["hits"][0]["_source"]["error"] == f"{UNREAD}; {LATE}"  # a search shows what it can find

    assert api.call("POST", f"/detectors/{id}/_stop").status_code == 200
    assert "no worker" not in detectors(api.url, "get", id)
    assert "no worker" not in detectors(api.url, "list")
