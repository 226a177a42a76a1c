"""A file analysed offline and the same records analysed in a topic come to equal results."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.api_client.detector_document import detector_document
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deploy.offline.rows import NOON, encoded, file_run, results
from tests.streams.scan.conftest import analyse, ended, of_task

MINUTE = 60_000
OF_THE_RUN = ("id", "detector_id", "model_id", "task_id", "execution_start_time", "execution_end_time")
"""Members of a result that name the run or tell when it was."""


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A worker."""
    with Cluster(broker.bootstrap, "same.", statistics_interval=0.2) as running:
        running.start_worker()
        yield running


def series(minutes: int, hosts: str, seed: int = 1) -> list[dict[str, Any]]:
    """A wave with noise a minute and host; each host has a spike of its own."""
    dice = random.Random(seed)
    return [
        {
            "t": NOON + minute * MINUTE,
            "host": host,
            "cpu": 50 + 10 * math.sin(minute / 30) + dice.gauss(0, 1) + 80 * (minute == 200 + 20 * place),
            "load": dice.expovariate(1),
        }
        for minute in range(minutes)
        for place, host in enumerate(hosts)
    ]


def messy() -> list[dict[str, Any]]:
    """Nested values, texts, numbers as texts, gaps, and what no detector can use."""
    records = series(300, "ab", seed=2)
    for place, record in enumerate(records):
        record["os"] = {"cpu": record.pop("cpu")}
        if place % 7 == 0:
            del record["load"]
        elif place % 11 == 0:
            record["load"] = str(record["load"])
        elif place % 50 == 0:
            record["load"] = "much"
        elif place % 60 == 0:
            record["t"] = "never"
        elif place % 70 == 0:
            del record["host"]
    gap = range(NOON + 100 * MINUTE, NOON + 130 * MINUTE)
    return [record for record in records if record["t"] not in gap]


def disordered() -> list[dict[str, Any]]:
    """Records up to five minutes late, in three series."""
    dice = random.Random(3)
    return sorted(series(300, "abc", seed=3), key=lambda record: record["t"] + dice.uniform(0, 5 * MINUTE))


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "one model": (series(400, "a"), {"features": ["avg:cpu"], "interval": "1m"}),
    "hosts and two features": (
        series(300, "abc"),
        {"features": ["max:cpu", "p95:load"], "by": ["host"], "interval": "2m"},
    ),
    "messy records": (messy(), {"features": ["avg:os.cpu", "sum:load"], "by": ["host"], "interval": "1m"}),
    "a filter": (series(300, "ab"), {"features": ["count:cpu"], "interval": "5m", "where": "host:b AND load:[0 TO 1]"}),
    "late records": (disordered(), {"features": ["avg:cpu"], "by": ["host"], "interval": "1m", "delay": "2m"}),
    "late records that are waited for": (
        disordered(),
        {"features": ["avg:cpu", "distinct:load"], "by": ["host"], "interval": "1m", "delay": "6m"},
    ),
}


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    # Windows without data have other words in an analysis than in real time.
    left_out = (*OF_THE_RUN, "error", "feature_data") if "error" in result else OF_THE_RUN
    return {"empty": "error" in result} | {name: value for name, value in result.items() if name not in left_out}


def key(result: dict[str, Any]) -> tuple[int, str]:
    return result["data_end_time"], ",".join(each["value"] for each in result.get("entity", ()))


@pytest.mark.parametrize("case", CASES)
def test_a_file_and_a_topic_come_to_equal_results(
    case: str, cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    records, options = CASES[case]
    run = file_run(encoded(*records), **options)
    from_file = {key(result): comparable(result) for result in results(run)}

    topic = new_topic(topic_prefix + "metrics").name
    cluster.produce(topic, records, partition=0)
    detector = f"same-{list(CASES).index(case)}"
    document = detector_document(topics=[topic], name=detector, time_field="t", **options)
    for feature in document["feature_attributes"]:
        feature["feature_id"] = feature["feature_name"]
    put = cluster.command("detector.put", detector, detector={**document, "model": {"seed": 7}})
    assert put["error"] is None, put
    newest = max(record["t"] for record in records if isinstance(record["t"], int))
    task = analyse(cluster, detector, NOON, newest + 3_600_000)
    assert ended(cluster, task)["state"] == "FINISHED"
    # In a topic the newest record's window may not be over; a file has said all.
    last = newest // run.plan.interval_ms * run.plan.interval_ms
    expected = {each: result for each, result in from_file.items() if each[0] <= last}
    assert len(expected) > 50
    assert len(from_file) - len(expected) <= len({host for _, host in from_file})
    found = cluster.results(detector, lambda all: len(of_task(all, task)) >= len(expected))
    from_topic = {key(result): comparable(result) for result in of_task(found, task).values()}
    assert from_topic.keys() == expected.keys()
    assert {each: (from_topic[each], expected[each]) for each in expected if from_topic[each] != expected[each]} == {}
    assert (run.counts.late > 0) == (case == "late records")
    assert bool(run.counts.unusable) == (case == "messy records")
    if case == "one model":
        assert any(result["anomaly_grade"] > 0 for result in expected.values())
