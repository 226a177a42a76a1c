"""What may happen to an analysis while it runs, on a real Kafka: each with a defined outcome."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition

from schemas.node import decode_node
from tests import kafka
from tests.cluster import PARTITIONS, Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST
from tests.streams.scan.conftest import START, Tasks, analyse, ended, interleaved, of_task, points, tasks

NewTopic = Callable[..., TopicUnderTest]
END = START + 10**7


@pytest.fixture(scope="module")
def slow(broker: Broker) -> Iterator[Cluster]:
    """A worker that takes records in one by one: some hundred a second."""
    with Cluster(
        broker.bootstrap,
        f"slow-{uuid.uuid4().hex[:6]}.",
        statistics_interval=0.2,
        scan_slice=1,
        source_checkpoint_interval=0.5,
        max_historical_tasks=2,
        max_historical_tasks_per_worker=1,
        max_entities_per_task=2 * PARTITIONS,
    ) as running:
        worker = running.start_worker()
        yield running
        assert worker.stop() == 0, "\n".join(worker.lines[-60:])


def busy(
    cluster: Cluster, new_topic: NewTopic, prefix: str, *, seconds: int = 15_000, size: int = 0
) -> tuple[str, str, TopicUnderTest]:
    """A detector, its running analysis of many records (of ``size`` bytes more than needed), and the topic."""
    topic = new_topic(prefix + "m", partitions=2)
    points = interleaved(range(seconds), "ab")
    cluster.produce(topic.name, ({**point, "more": "x" * size} for point in points))
    detector = cluster.create(topic.name)
    task = analyse(cluster, detector, START, END)
    tasks(cluster, lambda found: found.get(task, {}).get("state") == "RUNNING")
    return detector, task, topic


def test_a_stop_ends_an_analysis_before_it_has_read_everything(
    slow: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    detector, task, _ = busy(slow, new_topic, topic_prefix)

    def children(found: Tasks, state: str) -> list[dict[str, Any]]:
        mine = [each for each in found.values() if each.get("parent_task_id") == task]
        return [each for each in mine if each["state"] == state]

    tasks(slow, lambda found: len(children(found, "RUNNING")) == 2)
    reply = slow.command("history.stop", detector)
    assert (reply["status"], reply["id"], reply["error"]) == (200, task, None)
    document = ended(slow, task)
    assert (document["state"], document["error"]) == ("STOPPED", "Historical analysis cancelled by user")
    assert document["task_progress"] < 0.9
    stopped = children(tasks(slow, lambda found: len(children(found, "STOPPED")) == 2), "STOPPED")
    assert sorted(child["entity"][0]["value"] for child in stopped) == ["a", "b"]
    cancelled = [line for line in slow.workers[0].lines if "scan cancelled" in line and task in line]
    assert cancelled


def test_its_models_and_checkpoints_are_gone_when_it_ends(
    slow: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    detector, task, _ = busy(slow, new_topic, topic_prefix)

    def historical_models(messages: list[Message]) -> int:
        node = decode_node(messages[-1].value())
        return node.model_count - sum(run.entities for run in node.runs)

    def checkpoints(messages: list[Message]) -> list[bytes]:
        newest = {message.key(): message.value() for message in messages}
        return [key for key, value in newest.items() if task.encode() in key and value is not None]

    slow.read("nodes", lambda messages: bool(messages) and historical_models(messages) == 2)
    slow.read("windows", lambda messages: bool(checkpoints(messages)))
    slow.command("history.stop", detector)
    assert ended(slow, task)["state"] == "STOPPED"
    slow.read("nodes", lambda messages: bool(messages) and historical_models(messages) == 0)
    slow.read("windows", lambda messages: bool(messages) and not checkpoints(messages))


def test_what_is_running_can_neither_be_deleted_nor_started_again(
    slow: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    detector, task, topic = busy(slow, new_topic, topic_prefix)
    for kind, members, said in (
        ("detector.delete", {}, "Historical is running"),
        ("history.start", {"start_time": 0, "end_time": 1}, "Config is already running"),
    ):
        assert slow.command(kind, detector, **members)["error"]["reason"] == said
    others = [slow.create(topic.name) for _ in range(2)]
    second = analyse(slow, others[0], START, END)
    refused = slow.command("history.start", others[1], start_time=START, end_time=END)
    assert refused["error"]["reason"] == "No available task slot"
    for each in (detector, others[0]):
        slow.command("history.stop", each)
    assert {ended(slow, each)["state"] for each in (task, second)} == {"STOPPED"}
    assert slow.command("detector.delete", detector)["error"] is None
    tasks(slow, lambda found: not any(each["detector_id"] == detector for each in found.values()))


def test_an_analysis_beyond_what_a_worker_reads_at_once_waits_for_its_turn(
    slow: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    detector, first, _ = busy(slow, new_topic, topic_prefix)
    short = new_topic(topic_prefix + "short")
    slow.produce(short.name, points(range(60)))
    second = analyse(slow, slow.create(short.name), START, END)
    reached = tasks(slow, lambda found: second in found)[first]["task_progress"]
    found = tasks(slow, lambda found: found.get(first, {}).get("task_progress", 0) > reached)
    assert (found[first]["state"], found[second]["state"]) == ("RUNNING", "CREATED")
    slow.command("history.stop", detector)
    assert ended(slow, second)["state"] == "FINISHED"


def test_quick_starts_and_stops_leave_one_task_that_counts(
    slow: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    detector, task, _ = busy(slow, new_topic, topic_prefix)
    for _ in range(4):
        slow.command("history.stop", detector)
        task = analyse(slow, detector, START, END)
    found = tasks(slow, lambda found: found.get(task, {}).get("state") == "RUNNING")
    mine = {
        key: each for key, each in found.items() if each["detector_id"] == detector and "parent_task_id" not in each
    }
    assert [key for key, each in mine.items() if each["is_latest"]] == [task]
    assert sorted(each["state"] for each in mine.values()) == ["RUNNING", "STOPPED"]
    slow.command("history.stop", detector)
    assert ended(slow, task)["state"] == "STOPPED"


def test_entity_tasks_of_an_earlier_analysis_are_no_longer_the_latest(
    cluster: Cluster, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, interleaved(range(60), "abc"))
    detector = cluster.create(topic.name)
    first = analyse(cluster, detector, START, END)
    assert ended(cluster, first)["state"] == "FINISHED"
    second = analyse(cluster, detector, START, END)
    assert ended(cluster, second)["state"] == "FINISHED"

    def latest(found: Tasks, parent: str) -> list[bool]:
        return [each["is_latest"] for each in found.values() if each.get("parent_task_id") == parent]

    found = tasks(cluster, lambda found: latest(found, first) == [False] * 3)
    assert latest(found, second) == [True] * 3


@pytest.mark.parametrize("size", [0, 3_000], ids=["all of it fetched ahead", "more than is fetched ahead"])
def test_a_topic_that_is_deleted_ends_the_analysis(
    slow: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str, size: int
) -> None:
    _, task, topic = busy(slow, new_topic, topic_prefix, seconds=1_500 if size == 0 else 15_000, size=size)
    for future in broker.admin().delete_topics([topic.name]).values():
        future.result(REQUEST)
    document = ended(slow, task)
    assert document["state"] == "FAILED"
    assert document["error"].startswith(f"topic {topic.name} was deleted")


def test_real_time_detection_goes_on_beside_it(slow: Cluster, new_topic: NewTopic, topic_prefix: str) -> None:
    detector, task, topic = busy(slow, new_topic, topic_prefix)
    slow.start(detector)
    begin = int(time.time()) * 1000
    for second in range(4):
        slow.produce(topic.name, [{"time": begin + second * 1000, "host": "a", "value": 7.0}])
    found = slow.results(detector, lambda found: any("task_id" not in each for each in found.values()))
    assert tasks(slow, lambda found: task in found)[task]["state"] == "RUNNING"
    live = [each for each in found.values() if "task_id" not in each]
    assert {each["feature_data"][0]["data"] for each in live} == {7.0}
    slow.command("history.stop", detector)
    slow.command("job.stop", detector)
    assert ended(slow, task)["state"] == "STOPPED"


def test_what_the_topic_no_longer_holds_is_named(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, points(range(200)))
    for future in broker.admin().delete_records([TopicPartition(topic.name, 0, 100)]).values():
        future.result(REQUEST)
    detector = cluster.create(topic.name)
    task = analyse(cluster, detector, START, START + 150_000)
    document = ended(cluster, task)
    assert document["state"] == "FINISHED"
    assert document["error"] == f"{topic.name}-0 no longer holds records before 2023-11-14T22:15:40Z"
    assert len(of_task(cluster.results(detector, 50), task)) == 50
    task = analyse(cluster, detector, START, START + 50_000)
    document = ended(cluster, task)
    assert document["state"] == "FAILED"
    assert document["error"].startswith("There is no data in the detection date range; ")
    assert "no longer holds" in document["error"]


def test_late_records_are_reported(cluster: Cluster, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, [*points(range(50, 100)), *points(range(50))])
    impatient = cluster.create(topic.name)
    document = ended(cluster, analyse(cluster, impatient, START, START + 99_000))
    assert document["error"].startswith("50 records came after their window had closed")
    patient = cluster.create(topic.name, window_delay={"period": {"interval": 2, "unit": "Minutes"}})
    task = analyse(cluster, patient, START, START + 99_000)
    document = ended(cluster, task)
    assert (document["state"], document["error"]) == ("FINISHED", "")
    assert len(of_task(cluster.results(patient, 99), task)) == 99


def test_an_entity_with_too_few_rows_fails_alone(cluster: Cluster, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, [*interleaved(range(20), "ab"), *points(range(20, 60))])
    detector = cluster.create(topic.name)
    task = analyse(cluster, detector, START, END)
    assert ended(cluster, task)["state"] == "FINISHED"
    found = tasks(cluster, lambda found: task in found)
    mine = {each["entity"][0]["value"]: each for each in found.values() if each.get("parent_task_id") == task}
    assert {host: each["state"] for host, each in mine.items()} == {"a": "FINISHED", "b": "FAILED"}
    assert mine["b"]["error"] == "There is not enough data to train model"


def test_transactions_and_empty_partitions_do_not_keep_it_waiting(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=3)
    producer = kafka.producer(broker.bootstrap, transactional_id=topic_prefix)
    producer.init_transactions()
    for commit in (True, False):
        producer.begin_transaction()
        for point in points(range(50), value=1.0 if commit else 1000.0):
            producer.produce(topic.name, str(point).replace("'", '"').encode(), partition=1)
        if commit:
            producer.commit_transaction()
        else:
            producer.flush()
            producer.abort_transaction()
    detector = cluster.create(topic.name)
    task = analyse(cluster, detector, START, END)
    assert ended(cluster, task)["state"] == "FINISHED"
    found = of_task(cluster.results(detector, 49), task)
    assert {each["feature_data"][0]["data"] for each in found.values()} == {1.0}


def test_entities_beyond_the_limit_are_left_out(slow: Cluster, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "m")
    hosts = "abcdefghijklmnopqrst"
    slow.produce(topic.name, interleaved(range(40), hosts))
    detector = slow.create(topic.name)
    task = analyse(slow, detector, START, END)
    document = ended(slow, task)
    assert document["state"] == "FINISHED"
    left_out = int(document["error"].partition(" rows of entities beyond max_entities_per_task were left out")[0])
    found = of_task(slow.results(detector, 39 * len(hosts) - left_out), task)
    entities = {key.split("|")[0] for key in found}
    assert len(found) == 39 * len(entities) == 39 * len(hosts) - left_out
    assert len(entities) <= 2 * PARTITIONS
