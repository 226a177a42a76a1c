"""Starts and stops in quick succession from two clients at once, one over HTTP, the other over the control topic.

The outcome is the one of the same commands one after the other, in the order in which the control topic holds them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.process import ApiProcess
from api.settings import ApiSettings
from tests.api.conftest import AD, serving, wait_ready
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, REQUEST
from tests.streams.scan.conftest import START, ended, interleaved, tasks

ROUNDS = 6
ACCEPTED = (200, None)


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A worker whose analyses do not end by themselves: records are taken in one by one."""
    with Cluster(broker.bootstrap, f"two-{uuid.uuid4().hex[:6]}.", statistics_interval=0.2, scan_slice=1) as running:
        worker = running.start_worker()
        yield running
        assert worker.stop() == 0, "\n".join(worker.lines[-60:])


@pytest.fixture(scope="module")
def client(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an API beside it."""
    data = tmp_path_factory.mktemp("api")
    process = ApiProcess(ApiSettings(brokers=cluster.bootstrap, prefix=cluster.prefix, data=data))
    with serving(process) as url, httpx.Client(base_url=url + AD, timeout=REQUEST) as client:
        with httpx.Client(base_url=url) as root:
            wait_ready(root)
        yield client


@pytest.fixture
def detector(cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str) -> str:
    """One with much to read."""
    topic = new_topic(topic_prefix + "m", partitions=2)
    cluster.produce(topic.name, interleaved(range(15_000), "ab"))
    return cluster.create(topic.name)


def hammer(cluster: Cluster, client: httpx.Client, detector: str, http: list[tuple[str, Any]], *kinds: str) -> None:
    """Both clients at once: each sends its commands again and again and waits for every answer."""
    range_ = {"start_time": START, "end_time": START + 10**8} if kinds[0] == "history.start" else {}

    def over_http() -> None:
        for _ in range(ROUNDS):
            for path, body in http:
                answer = (
                    client.post(f"/detectors/{detector}/{path}", json=body)
                    if body
                    else client.post(f"/detectors/{detector}/{path}")
                )
                assert answer.status_code in (200, 400), answer.text

    def over_the_topic() -> None:
        for _ in range(ROUNDS):
            for kind in kinds:
                cluster.command(kind, detector, **(range_ if kind.endswith("start") else {}))

    with ThreadPoolExecutor(2) as pool:
        for client_ended in [pool.submit(over_http), pool.submit(over_the_topic)]:
            client_ended.result(EVENT)


def story(cluster: Cluster, detector: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """All commands about the detector's life in the order of the control topic, each with its reply."""

    def mine(messages: list[Any]) -> list[dict[str, Any]]:
        events = [json.loads(message.value()) for message in messages]
        kinds = ("job.start", "job.stop", "history.start", "history.stop")
        return [each for each in events if each["detector_id"] == detector and each["type"] in kinds]

    events = mine(cluster.read("control", lambda messages: len(mine(messages)) >= count))
    wanted = {event["request_id"] for event in events}
    found = cluster.read("replies", lambda read: wanted <= {message.key().decode() for message in read})
    replies = {message.key().decode(): json.loads(message.value()) for message in found}
    return [(event["type"], replies[event["request_id"]]) for event in events]


def outcome(reply: dict[str, Any]) -> tuple[int, str | None]:
    """Status and reason."""
    return reply["status"], None if reply["error"] is None else reply["error"]["reason"]


def test_real_time_detection(cluster: Cluster, client: httpx.Client, detector: str) -> None:
    hammer(cluster, client, detector, [("_start", None), ("_stop", None)], "job.start", "job.stop")
    runs = False
    told = story(cluster, detector, 4 * ROUNDS)
    assert len(told) == 4 * ROUNDS
    for kind, reply in told:
        starting = kind == "job.start"
        refused = "Anomaly detector job is already running: " if starting else "job is already stopped: "
        assert outcome(reply) == (ACCEPTED if runs is not starting else (200, refused + detector))
        runs = starting

    def settled(found: dict[str, dict[str, Any]]) -> bool:
        mine = [each for each in found.values() if each["detector_id"] == detector]
        live = [each for each in mine if each["state"] in ("CREATED", "INIT", "RUNNING")]
        return [each["is_latest"] for each in mine].count(True) == 1 and len(live) == int(runs)

    tasks(cluster, settled)
    assert client.get(f"/detectors/{detector}?job=true").json()["anomaly_detector_job"]["enabled"] is runs
    cluster.command("job.stop", detector)


def test_historical_analysis(cluster: Cluster, client: httpx.Client, detector: str) -> None:
    body = {"start_time": START, "end_time": START + 10**8}
    hammer(
        cluster, client, detector, [("_start", body), ("_stop?historical=true", None)], "history.start", "history.stop"
    )
    running: str | None = None
    last = ""
    told = story(cluster, detector, 4 * ROUNDS)
    assert len(told) == 4 * ROUNDS
    for kind, reply in told:
        if kind == "history.start":
            assert outcome(reply) == (ACCEPTED if running is None else (400, "Config is already running"))
            running = last = running or reply["id"]
        else:
            assert outcome(reply) == (ACCEPTED if running is not None else (400, "No running task found"))
            assert running in (None, reply["id"])
            running = None

    def settled(found: dict[str, dict[str, Any]]) -> bool:
        mine = {key: each for key, each in found.items() if each["detector_id"] == detector}
        parents = {key for key, each in mine.items() if "parent_task_id" not in each}
        live = {each.get("parent_task_id", key) for key, each in mine.items() if each["state"] != "STOPPED"}
        children = {each["parent_task_id"] for each in mine.values() if "parent_task_id" in each}
        latest = [key for key in parents if mine[key]["is_latest"]]
        return latest == [last] and len(parents) == 2 and children <= parents and live <= {running}

    tasks(cluster, settled)
    if running is not None:
        assert client.post(f"/detectors/{detector}/_stop?historical=true").json()["_id"] == running
    assert ended(cluster, last)["state"] == "STOPPED"
