"""Creating and repairing Riverwatch's topics in Kafka."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from deploy.errors import DeployError, KafkaUnreachable, TopicsUnfit
from deploy.topics.plan import Change, ExistingTopic, plan
from schemas.topics import TOPICS

TIMEOUT_SECONDS = 15.0


def apply(
    client: Mapping[str, Any],
    *,
    prefix: str,
    model_partitions: int,
    replication: int,
    dry_run: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> list[Change]:
    """Create missing topics and repair configurations; returns the changes made (or to be made) once they are visible.

    ``client`` is the configuration of a confluent-kafka client. A ``replication`` of -1 leaves it to the cluster.
    ``timeout`` is how many seconds Kafka may take to answer the first request. Several processes may do this at once,
    and as often as they like.

    Raises ``KafkaUnreachable``, ``TopicsUnfit`` when a topic has a wrong number of partitions (nothing is changed
    then), or ``DeployError`` when Kafka refuses a change.
    """
    admin = AdminClient({"log_level": 2, **client, "error_cb": lambda _error: None})
    planned = plan(_existing(admin, client, prefix, timeout), prefix=prefix, model_partitions=model_partitions)
    if planned.problems:
        raise TopicsUnfit("\n".join(planned.problems))
    if not dry_run and planned.changes:
        _carry_out(admin, planned.changes, replication)
        _wait_for_leaders(admin, planned.changes)
    return planned.changes


def _existing(admin: AdminClient, client: Mapping[str, Any], prefix: str, timeout: float) -> dict[str, ExistingTopic]:
    try:
        found = admin.list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise KafkaUnreachable(
            f"Kafka does not answer at {client['bootstrap.servers']} ({error.args[0].str()}). Check --brokers"
            " (RIVERWATCH_BROKERS), or start a Kafka with: riverwatch broker"
        ) from error
    names = [name for name in (topic.full_name(prefix) for topic in TOPICS.values()) if name in found]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS) if resources else {}
    return {
        resource.name: ExistingTopic(
            len(found[resource.name].partitions),
            {name: entry.value for name, entry in _result(future, f"describe {resource.name}").items()},
        )
        for resource, future in answers.items()
    }


def _carry_out(admin: AdminClient, changes: list[Change], replication: int) -> None:
    new = [
        NewTopic(change.topic, change.partitions, replication, config=dict(change.config))
        for change in changes
        if change.action == "create"
    ]
    if new:
        for name, created in admin.create_topics(new, request_timeout=TIMEOUT_SECONDS).items():
            # Several workers start at once: another one may have been quicker.
            _result(created, f"create {name}", accepted=KafkaError.TOPIC_ALREADY_EXISTS)
    altered = [
        ConfigResource(
            ResourceType.TOPIC,
            change.topic,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in change.config.items()
            ],
        )
        for change in changes
        if change.action == "configure"
    ]
    if altered:
        for resource, done in admin.incremental_alter_configs(altered, request_timeout=TIMEOUT_SECONDS).items():
            _result(done, f"configure {resource.name}")


def _wait_for_leaders(admin: AdminClient, changes: list[Change]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    missing = {change.topic for change in changes}
    while missing and time.monotonic() < deadline:
        found = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        missing = {
            name
            for name in missing
            if name not in found or any(each.leader < 0 for each in found[name].partitions.values())
        }
        if missing:
            time.sleep(0.05)
    if missing:
        raise DeployError(f"Kafka has created {', '.join(sorted(missing))}, but they have no leader yet. Try again.")


def _result(future: Future[Any], what: str, accepted: int | None = None) -> Any:
    """The answer to a request; None for the error code that is ``accepted``. Raises ``DeployError``."""
    try:
        return future.result(TIMEOUT_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == accepted:
            return None
        raise DeployError(f"Kafka refuses to {what}: {error.args[0].str()}") from error
