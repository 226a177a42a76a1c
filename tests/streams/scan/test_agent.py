"""Historical analyses on a real Kafka with a real worker."""

from __future__ import annotations

from collections.abc import Callable

from tests.cluster import Cluster
from tests.conftest import TopicUnderTest
from tests.streams.scan.conftest import START, analyse, ended, interleaved, of_task, tasks

NewTopic = Callable[..., TopicUnderTest]


def test_a_range_is_analysed_to_its_end(cluster: Cluster, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "m", partitions=3)
    cluster.produce(topic.name, interleaved(range(60), "abc"))
    detector = cluster.create(topic.name)
    task = analyse(cluster, detector, START + 10_500, START + 50_500)
    document = ended(cluster, task)
    assert (document["state"], document["task_progress"], document["error"]) == ("FINISHED", 1.0, "")
    assert document["task_type"] == "HISTORICAL_HC_DETECTOR"
    results = of_task(cluster.results(detector, 3 * 40), task)
    assert sorted(results) == sorted(f"{host}|{START + second * 1000}" for host in "abc" for second in range(11, 51))
    children = {key: found for key, found in tasks(cluster, lambda found: task in found).items() if key != task}
    mine = [child for child in children.values() if child.get("parent_task_id") == task]
    assert {child["entity"][0]["value"]: child["state"] for child in mine} == dict.fromkeys("abc", "FINISHED")
    assert all(child["init_progress"] == 1.0 and child["task_progress"] == 1.0 for child in mine)
