"""``riverwatch detectors`` against a worker and an API: what a user does from the first detector to its anomalies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from deploy.local_kafka.broker import free_port
from tests.cluster import ApiProcess, Cluster
from tests.command_line import detectors, in_process
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import eventually

SECONDS = 120
BAD = 100
"""Which second has a value that has never been."""


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A worker."""
    with Cluster(broker.bootstrap, "detectors-command.", statistics_interval=0.2) as running:
        running.start_worker()
        yield running


@pytest.fixture(scope="module")
def api(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ApiProcess:
    """An API that asks nobody who they are."""
    return cluster.start_api(tmp_path_factory.mktemp("api"))


def documents(lines: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_from_the_first_detector_to_its_anomalies(
    cluster: Cluster, api: ApiProcess, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "metrics").name
    start = int(time.time()) - SECONDS
    cluster.produce(
        topic,
        [
            {"timestamp": (start + second) * 1000, "host": host, "cpu": 500.0 if second == BAD else 50.0 + second % 3}
            for second in range(SECONDS)
            for host in ("a", "b")
        ],
    )
    words = ("--topic", topic, "--time", "timestamp", "--by", "host", "--feature", "avg:cpu", "--interval", "1s")
    assert detectors(api.url, "list").split()[0] == "NAME"
    created = detectors(api.url, "create", *words, "--name", "cpu").split()
    assert created[:2] == ["created", "cpu"]
    nobody = ("--name", "cpu-of-nobody", "--where", "host:nobody", "--url", api.url)
    _, told = in_process("detectors", "create", *words, *nobody, code=0, variables={})
    assert told.splitlines()[0] == "records: JSON; timestamp: milliseconds"
    assert told.splitlines()[1].endswith("sampled records match the filter")
    detectors(api.url, "delete", "cpu-of-nobody")
    refused = detectors(api.url, "create", *words, "--name", "cpu", code=1)
    assert "already used by another detector" in refused
    shown = json.loads(detectors(api.url, "get", created[2], "--json"))
    assert shown["anomaly_detector"]["category_field"] == ["host"]
    assert ["feature", "avg_cpu=avg:cpu"] in [line.split() for line in detectors(api.url, "get", "cpu").splitlines()]

    assert detectors(api.url, "start", "cpu", "--from", "earliest") == "started cpu\n"
    assert "already running" in detectors(api.url, "start", "cpu", code=1)
    found = "results", "cpu", "--size", "1000", "--json"
    eventually("results are there", lambda: len(documents(detectors(api.url, *found))) >= 2 * (SECONDS - 10))
    results = documents(detectors(api.url, *found))
    ends = [result["data_end_time"] for result in results]
    assert ends == sorted(ends, reverse=True)  # type: ignore[type-var]
    only_a = documents(detectors(api.url, *found, "--entity", "host=a"))
    assert {entity["value"] for each in only_a for entity in each["entity"]} == {"a"}  # type: ignore[attr-defined]
    worst = detectors(api.url, "results", "cpu", "--anomalies", "--worst", "--size", "2").splitlines()
    assert worst[0].split()[:3] == ["WINDOW", "END", "(UTC)"]
    assert all("avg_cpu=500" in line for line in worst[1:3])
    top = documents(detectors(api.url, "top", "cpu", "--json"))
    assert {bucket["key"]["host"] for bucket in top} == {"a", "b"}  # type: ignore[index]
    assert detectors(api.url, "top", "cpu", "--most").splitlines()[0].split() == [
        "HOST", "HIGHEST", "GRADE", "ANOMALIES",
    ]  # fmt: skip
    listed = detectors(api.url, "list").splitlines()[1].split()
    assert listed[:2] == ["cpu", "RUNNING"]

    assert detectors(api.url, "stop", "cpu") == "stopped cpu\n"
    history = documents(
        detectors(api.url, "history", "cpu", "--from", str(start * 1000), "--to", str((start + 110) * 1000), "--json")
    )
    assert (history[-1]["state"], history[-1]["progress"], history[-1]["entities"]) == ("FINISHED", 1.0, 2)
    assert history[-1]["windows"] == 110
    assert "records" not in history[-1]
    past = documents(detectors(api.url, *found, "--history"))
    assert {result["task_id"] for result in past} == {history[-1]["task_id"]}
    assert documents(detectors(api.url, "list", "--json"))[0]["state"] == "STOPPED"
    assert detectors(api.url, "delete", "cpu") == "deleted cpu\n"
    assert "there is no detector with the id or name cpu" in detectors(api.url, "get", "cpu", code=12)


def test_what_cannot_be_is_said_in_one_line(api: ApiProcess) -> None:
    create = ("create", "--topic", "nowhere", "--time", "t", "--feature", "avg:x", "--interval", "10s")
    for arguments, code, said in (
        (create, 12, "no such index [nowhere]"),
        ((*create[:-1], "10x"), 2, "is no interval"),
        ((*create[:5], "--feature", "x", "--interval", "1s"), 2, "is no feature"),
        (("start", "nobody"), 12, "no detector with the id or name nobody"),
        (("results", "nobody", "--from", "soon"), 2, "use epoch ms"),
        (("results", "nobody", "--entity", "x"), 2, "FIELD=VALUE is expected"),
        (("list", "--url", "ftp://x"), 2, "a URL such as http://"),
        (("list", "--url", f"http://127.0.0.1:{free_port()}"), 10, "does not answer"),
        (("list", "--token", "x", "--api-key", "y"), 2, "exclude each other"),
        (("list", "--ca", "/nowhere.pem"), 2, "no such file"),
    ):
        message = detectors(api.url, *arguments, code=code)
        assert said in message
        assert len(message.splitlines()) == 1 or code == 2
