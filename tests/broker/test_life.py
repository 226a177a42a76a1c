"""Detectors and jobs by events on the control topic, on a real Kafka with a real worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests import kafka
from tests.broker.records import START, points
from tests.broker.state import tasks
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST


def test_every_window_of_every_entity_has_one_result_with_the_values_of_its_records(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    detector = cluster.create(topic.name)
    cluster.start(detector)
    for second in range(5):
        for host, value in (("a", 1.0), ("b", 3.0), ("a", 2.0)):
            cluster.produce(topic.name, points(range(second, second + 1), host=host, value=value))
    results = cluster.results(detector, 10)
    assert len(results) == 10
    first = results[f"{detector}|a|{START + 1000}"]
    assert first["feature_data"] == [
        {"feature_id": first["feature_data"][0]["feature_id"], "feature_name": "mean", "data": 1.5}
    ]
    assert first["entity"] == [{"name": "host", "value": "a"}]
    assert (first["data_start_time"], first["data_end_time"]) == (START, START + 1000)
    assert first["anomaly_grade"] == 0
    assert results[f"{detector}|b|{START + 5000}"]["feature_data"][0]["data"] == 3.0


def test_a_worker_leaves_no_folder_where_it_was_started(cluster: Cluster) -> None:
    assert cluster.workers[0].alive()
    assert not (Path(__file__).parents[2] / f"{cluster.prefix}workers-data").exists()


def test_a_job_goes_from_created_over_init_to_running_and_stopped(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name)
    cluster.start(detector)
    cluster.produce(topic.name, points(range(20)))
    (task,) = tasks(cluster, detector, lambda found: bool(found) and found[0]["init_progress"] > 0)
    assert (task["task_type"], task["state"]) == ("REALTIME_HC_DETECTOR", "INIT")
    assert task["init_progress"] < 1
    cluster.produce(topic.name, points(range(20, 50)))
    (task,) = tasks(cluster, detector, lambda found: bool(found) and found[0]["state"] == "RUNNING")
    assert task["init_progress"] == 1.0
    assert cluster.command("job.start", detector)["error"]["reason"].startswith("Anomaly detector job is already")
    assert cluster.command("job.stop", detector)["error"] is None
    (task,) = tasks(cluster, detector, lambda found: bool(found) and found[0]["state"] == "STOPPED")
    assert task["is_latest"] is True
    assert task["execution_end_time"] >= task["execution_start_time"]


def test_models_survive_a_stop_and_old_times_may_come_again(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name)
    cluster.start(detector)
    cluster.produce(topic.name, points(range(40), value=5.0))
    cluster.results(detector, 40)
    assert cluster.command("job.stop", detector)["error"] is None
    cluster.produce(topic.name, points(range(40, 50)))
    cluster.start(detector)
    # What came while it was stopped belongs to no run; and a model that begins anew would have confidence 0 here.
    cluster.produce(topic.name, points(range(10), value=5.0))
    results = cluster.results(
        detector, lambda found: found.get(f"{detector}|a|{START + 10_000}", {}).get("confidence", 0) > 0
    )
    assert len(results) == 40


def test_start_from_earliest_reads_what_was_there_before(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    cluster.produce(topic.name, points(range(30)))
    live, all_of_it = cluster.create(topic.name), cluster.create(topic.name)
    cluster.start(live)
    cluster.produce(topic.name, points(range(30, 35)))
    assert len(cluster.results(live, 5)) == 5
    # The topic is read live already: the second detector reads the past beside it until it has caught up.
    cluster.start(all_of_it, **{"from": "earliest"})
    cluster.produce(topic.name, points(range(35, 40)))
    assert len(cluster.results(all_of_it, 40)) == 40
    assert len(cluster.results(live, 10)) == 10


def test_topics_by_pattern_that_come_while_running(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    one = new_topic(topic_prefix + "pattern-one")
    detector = cluster.create(topic_prefix + "pattern-*")
    cluster.start(detector)
    cluster.produce(one.name, points(range(3), host="one"))
    cluster.results(detector, 3)
    two = new_topic(topic_prefix + "pattern-two")
    cluster.produce(two.name, points(range(10, 13), host="two"))
    assert f"{detector}|two|{START + 13_000}" in cluster.results(
        detector, lambda found: f"{detector}|two|{START + 13_000}" in found
    )


def test_a_topic_that_is_deleted_holds_nobody_back(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    one, two = new_topic(topic_prefix + "gone-one"), new_topic(topic_prefix + "gone-two")
    detector = cluster.create(topic_prefix + "gone-*")
    cluster.start(detector)
    cluster.produce(one.name, points(range(3), host="one"))
    cluster.produce(two.name, points(range(3), host="two"))
    cluster.results(detector, 6)
    admin = kafka.admin(cluster.bootstrap)
    admin.delete_topics([two.name])[two.name].result(REQUEST)
    cluster.produce(one.name, points(range(10, 20), host="one"))
    assert len(cluster.results(detector, 16)) == 16


def test_a_live_source_that_falls_quiet_still_closes_its_window(
    broker: Broker, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    # No idle timeout comes to its help.
    with Cluster(broker.bootstrap, topic_prefix + "own.", idle_timeout=10_000) as cluster:
        worker = cluster.start_worker()
        detector = cluster.create(topic.name)
        cluster.start(detector)
        now = int(time.time() * 1000)
        cluster.produce(topic.name, [{"time": now, "host": "a", "value": 1.0}])
        (result,) = cluster.results(detector, 1).values()
        assert result["data_end_time"] == (now // 1000 + 1) * 1000
        assert result["data_end_time"] <= result["execution_start_time"]
        assert worker.stop() == 0


def test_a_detector_that_runs_is_neither_changed_nor_deleted(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name)
    cluster.start(detector)
    refused = cluster.command("detector.delete", detector)
    assert (refused["status"], refused["error"]["reason"]) == (400, f"Job is running: {detector}")
    assert cluster.command("job.stop", detector)["error"] is None
    assert cluster.command("detector.delete", detector)["error"] is None
    assert cluster.command("job.start", detector)["status"] == 404
    # Its worker goes on.
    other = cluster.create(topic.name)
    cluster.start(other)
    cluster.produce(topic.name, points(range(2)))
    assert len(cluster.results(other, 2)) == 2


def test_starting_and_stopping_again_and_again_loses_no_start(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    # Topics that come and go within one rebalance: Faust's fetcher died of it.
    topic = new_topic(topic_prefix + "m", partitions=2)
    detector = cluster.create(topic.name)
    for _ in range(5):
        cluster.start(detector)
        assert cluster.command("job.stop", detector)["error"] is None
    cluster.start(detector)
    cluster.produce(topic.name, points(range(3)))
    assert len(cluster.results(detector, 3)) == 3
