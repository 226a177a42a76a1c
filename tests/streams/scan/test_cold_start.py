"""A real-time start looks back: on a real Kafka with a real worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import TopicPartition

from tests.broker.state import tasks as realtime_tasks
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST
from tests.streams.scan.conftest import analyse, ended, of_task

NewTopic = Callable[..., TopicUnderTest]


def written(begin: int, seconds: range, hosts: str = "ab") -> list[dict[str, Any]]:
    """One record a second and host; the value tells the second."""
    return [
        {"time": begin + second * 1000, "host": host, "value": float(second)} for second in seconds for host in hosts
    ]


def now() -> int:
    """The wall clock at a whole second."""
    return int(time.time()) * 1000


def by_second(found: dict[str, dict[str, Any]], begin: int, host: str) -> dict[int, float]:
    """The values of the windows of a host, by their second."""
    return {
        (result["data_start_time"] - begin) // 1000: result["feature_data"][0]["data"]
        for result in found.values()
        if result["entity"][0]["value"] == host
    }


def test_the_past_and_the_present_are_joined_without_a_gap(
    cluster: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    begin = now() - 100_000
    cluster.produce(topic.name, written(begin, range(100)))
    detector = cluster.create(topic.name, history=60)
    started = now()
    cluster.start(detector)
    (task,) = realtime_tasks(cluster, detector, lambda found: bool(found) and found[0]["state"] == "RUNNING")
    assert task["init_progress"] == 1.0
    cluster.produce(topic.name, written(begin, range(100, 140)))
    last = (started - begin) // 1000
    wanted = range(last - 59, 135)
    found = cluster.results(
        detector,
        lambda found: all({*wanted} <= by_second(found, begin, host).keys() for host in "ab"),
    )
    for host in "ab":
        values = by_second(found, begin, host)
        assert {second: values[second] for second in wanted} == {second: float(second) for second in wanted}
        assert min(values) >= (started - begin) // 1000 - 61


def test_records_that_are_older_than_the_history_are_left_alone(
    cluster: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    begin = now() - 1000_000
    cluster.produce(topic.name, written(begin, range(50), "a"))
    detector = cluster.create(topic.name, history=60)
    cluster.start(detector)
    # Written after the start, records belong to the run however old they are.
    cluster.produce(topic.name, written(begin, range(50, 60), "a"))
    found = cluster.results(detector, 9)
    assert sorted(by_second(found, begin, "a")) == list(range(50, 60))[: len(found)]


def test_with_too_little_data_the_job_goes_on_initialising(
    cluster: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    begin = now() - 20_000
    cluster.produce(topic.name, written(begin, range(20), "a"))
    detector = cluster.create(topic.name, history=40)
    cluster.start(detector)
    (task,) = realtime_tasks(
        cluster, detector, lambda found: bool(found) and found[0].get("init_progress", 0) >= 16 / 32
    )
    assert task["state"] == "INIT"
    assert task["estimated_minutes_left"] == 1
    cluster.produce(topic.name, written(begin, range(20, 45), "a"))
    (task,) = realtime_tasks(cluster, detector, lambda found: bool(found) and found[0]["state"] == "RUNNING")
    assert (task["init_progress"], task["estimated_minutes_left"]) == (1.0, 0)


def restarted(
    cluster: Cluster, topic: TopicUnderTest, begin: int, meanwhile: Callable[[], None] = lambda: None
) -> tuple[str, dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """A detector that saw fifty seconds, was stopped for ten and saw five more: it, its results then and now.

    All of them lie so far back that the wall clock closes no window: what it takes for late depends on the load.
    """
    cluster.produce(topic.name, uneven(begin, range(50)))
    detector = cluster.create(topic.name, history=90)
    cluster.start(detector)
    before = cluster.results(detector, 38)
    assert cluster.command("job.stop", detector)["error"] is None
    cluster.produce(topic.name, uneven(begin, range(50, 60)))
    meanwhile()
    cluster.start(detector)
    cluster.produce(topic.name, uneven(begin, range(60, 67)))
    found = cluster.results(detector, lambda found: 65 in by_second(found, begin, "a"))
    return detector, before, found


def uneven(begin: int, seconds: range) -> list[dict[str, Any]]:
    """Records with values that go up and down."""
    return [{**record, "value": float(record["value"] * 7919 % 13)} for record in written(begin, seconds, "a")]


def verdicts(found: Iterable[dict[str, Any]]) -> dict[int, tuple[float, ...]]:
    """What was said about each window, by its end."""
    members = ("anomaly_score", "anomaly_grade", "confidence", "threshold")
    return {each["data_end_time"]: tuple(each.get(member, -1.0) for member in members) for each in found}


def test_a_restart_fills_the_gap_and_comes_to_what_would_have_come_without_a_stop(
    cluster: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    begin = now() - 100_000
    detector, before, found = restarted(cluster, new_topic(topic_prefix + "m"), begin)
    seconds = sorted(by_second(found, begin, "a"))
    assert seconds == list(range(seconds[0], seconds[-1] + 1))
    kept = {key: value for key, value in found.items() if key in before and "execution_start_time" in value}
    assert {key: value["execution_start_time"] for key, value in kept.items()} == {
        key: value["execution_start_time"] for key, value in before.items()
    }, "windows that were scored before the stop were scored again"
    got = verdicts(found.values())
    task = analyse(cluster, detector, min(got) - 1000, max(got) + 1000)
    assert ended(cluster, task)["state"] == "FINISHED"
    undisturbed = verdicts(of_task(cluster.results(detector, len(found) + len(got)), task).values())
    assert {end: verdict for end, verdict in undisturbed.items() if end <= max(got)} == got


def test_a_gap_that_the_topic_no_longer_holds_stays_one_and_the_models_go_on(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")

    def delete() -> None:
        for future in broker.admin().delete_records([TopicPartition(topic.name, 0, 60)]).values():
            future.result(REQUEST)

    begin = now() - 100_000
    detector, before, found = restarted(cluster, topic, begin, delete)
    after = sorted(by_second(found, begin, "a").keys() - by_second(before, begin, "a").keys())
    assert set(range(60, 66)) <= set(after)
    assert not set(range(50, 60)) & set(after)
    # Fewer rows than initialisation takes: only a model that was kept grades so soon.
    assert all(each["confidence"] > 0 for each in found.values() if each["data_start_time"] >= begin + 60_000)
    newest, *_ = realtime_tasks(
        cluster,
        detector,
        lambda tasks: any(task["is_latest"] and task["state"] == "RUNNING" for task in tasks),
    )[::-1]
    assert (newest["is_latest"], newest["init_progress"]) == (True, 1.0)
