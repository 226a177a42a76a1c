"""Riverwatch's topics: created, repaired, left alone, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from deploy.errors import DeployError, KafkaUnreachable, TopicsUnfit
from deploy.local_kafka.broker import free_port
from deploy.topics.apply import apply
from deploy.topics.plan import Change
from schemas.topics import TOPICS
from streams.settings import Settings
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST, eventually


def run(
    broker: Broker, prefix: str, *, model_partitions: int = 2, replication: int = 1, dry_run: bool = False
) -> list[Change]:
    return apply(
        {"bootstrap.servers": broker.bootstrap},
        prefix=prefix,
        model_partitions=model_partitions,
        replication=replication,
        dry_run=dry_run,
    )


def names(broker: Broker, prefix: str) -> set[str]:
    return {name for name in broker.admin().list_topics(timeout=REQUEST).topics if name.startswith(prefix)}


def config_of(broker: Broker, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    described = broker.admin().describe_configs([resource])[resource].result(REQUEST)
    return {name: entry.value for name, entry in described.items()}


def test_a_dry_run_shows_everything_and_creates_nothing(broker: Broker, topic_prefix: str) -> None:
    changes = run(broker, topic_prefix, dry_run=True)
    assert [change.topic for change in changes] == [topic.full_name(topic_prefix) for topic in TOPICS.values()]
    assert {change.action for change in changes} == {"create"}
    assert names(broker, topic_prefix) == set()


def test_missing_topics_are_created_as_the_table_says_and_then_left_alone(broker: Broker, topic_prefix: str) -> None:
    run(broker, topic_prefix, model_partitions=3)
    metadata = broker.admin().list_topics(timeout=REQUEST).topics
    for topic in TOPICS.values():
        name = topic.full_name(topic_prefix)
        assert len(metadata[name].partitions) == topic.partitions(3)
        assert topic.config().items() <= config_of(broker, name).items()
    assert run(broker, topic_prefix, model_partitions=3) == []


def test_by_default_topics_are_replicated_as_the_cluster_says(broker: Broker, topic_prefix: str) -> None:
    replication = Settings.from_environment({}).replication
    assert replication == -1
    run(broker, topic_prefix, replication=replication)
    metadata = broker.admin().list_topics(timeout=REQUEST).topics
    copies = {
        len(partition.replicas)
        for topic in TOPICS.values()
        for partition in metadata[topic.full_name(topic_prefix)].partitions.values()
    }
    assert len(copies) == 1  # Kafka took -1, and all are alike


def test_a_differing_configuration_is_repaired_and_nothing_else_touched(broker: Broker, topic_prefix: str) -> None:
    run(broker, topic_prefix)
    state, results = topic_prefix + "state", topic_prefix + "results"
    edits = [
        ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)],
        )
        for name, key, value in [(state, "cleanup.policy", "delete"), (results, "segment.ms", "12345")]
    ]
    for done in broker.admin().incremental_alter_configs(edits).values():
        done.result(REQUEST)
    # Kafka confirms a change before it shows it.
    eventually("one change shows", lambda: config_of(broker, state)["cleanup.policy"] == "delete")
    eventually("the other one shows", lambda: config_of(broker, results)["segment.ms"] == "12345")

    expected = [f"configure {state}: cleanup.policy delete -> compact"]
    assert [str(change) for change in run(broker, topic_prefix, dry_run=True)] == expected
    assert config_of(broker, state)["cleanup.policy"] == "delete"
    assert [str(change) for change in run(broker, topic_prefix)] == expected
    eventually("it is set right", lambda: config_of(broker, state)["cleanup.policy"] == "compact")
    assert config_of(broker, results)["segment.ms"] == "12345"
    assert run(broker, topic_prefix) == []


def test_models_are_never_moved_to_other_partitions(broker: Broker, topic_prefix: str) -> None:
    run(broker, topic_prefix, model_partitions=2)
    with pytest.raises(TopicsUnfit, match="RIVERWATCH_MODEL_PARTITIONS=2") as raised:
        run(broker, topic_prefix, model_partitions=4)
    concerned = {topic.name for topic in TOPICS.values() if topic.sizing == "models"}
    assert concerned == {"partials", "results", "anomalies", "checkpoints", "scans"}
    assert all(topic_prefix + name in str(raised.value) for name in concerned)
    assert len(broker.admin().list_topics(timeout=REQUEST).topics[topic_prefix + "partials"].partitions) == 2


def test_an_ordered_topic_with_several_partitions_is_refused_and_nothing_created(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    new_topic(topic_prefix + "control", partitions=2)
    with pytest.raises(TopicsUnfit, match="no total order"):
        run(broker, topic_prefix)
    assert names(broker, topic_prefix) == {topic_prefix + "control"}


def test_kafkas_refusal_is_told(broker: Broker, topic_prefix: str) -> None:
    with pytest.raises(DeployError, match="Kafka refuses to create"):
        apply({"bootstrap.servers": broker.bootstrap}, prefix=topic_prefix, model_partitions=1, replication=3)


def test_no_kafka_says_what_to_do() -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    with pytest.raises(KafkaUnreachable, match="riverwatch broker"):
        apply(nowhere, prefix="x.", model_partitions=1, replication=1, timeout=0.5)
