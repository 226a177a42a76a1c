"""Riverwatch's own topics: created where they are missing, repaired where their configuration differs.

What they should be stands in ``schemas.topics``. ``plan`` decides and is pure; ``apply`` asks Kafka and acts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

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
from schemas.topics import TOPICS

PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class ExistingTopic:
    """A topic as Kafka has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """Something to do to one topic. ``config`` is what to set."""

    topic: str
    action: Literal["create", "configure"]
    partitions: int
    config: Mapping[str, str]
    detail: str

    def __str__(self) -> str:
        return f"{self.action} {self.topic}: {self.detail}"


@dataclass(frozen=True)
class Plan:
    """What ``apply`` does. With ``problems`` it does nothing: they need a person's decision."""

    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan(existing: Mapping[str, ExistingTopic], *, prefix: str, model_partitions: int) -> Plan:
    """What must be done to ``existing`` (by full name) so that all of Riverwatch's topics are as they should be.

    >>> plan({}, prefix="riverwatch.", model_partitions=8).changes[0].detail
    '1 partition, cleanup.policy=delete, max.message.bytes=1048588, retention.ms=604800000'
    """
    result = Plan()
    for topic in TOPICS.values():
        name, wanted, config = topic.full_name(prefix), topic.partitions(model_partitions), topic.config()
        found = existing.get(name)
        if found is None:
            described = ", ".join([_partitions(wanted), *(f"{key}={value}" for key, value in config.items())])
            result.changes.append(Change(name, "create", wanted, config, described))
            continue
        if found.partitions != wanted:
            result.problems.append(_misfit(name, found.partitions, wanted, topic.sizing == "models"))
        wrong = {key: value for key, value in config.items() if found.config.get(key) != value}
        if wrong:
            described = ", ".join(f"{key} {found.config.get(key, 'unset')} -> {wrong[key]}" for key in wrong)
            result.changes.append(Change(name, "configure", found.partitions, wrong, described))
    return result


def _misfit(name: str, found: int, wanted: int, holds_models: bool) -> str:
    if holds_models:
        return (
            f"{name} has {_partitions(found)}, but models are to be spread over {wanted}. This cannot be changed:"
            f" models would move away from their state. Set RIVERWATCH_MODEL_PARTITIONS={found}, or take other"
            " topics with RIVERWATCH_PREFIX."
        )
    return (
        f"{name} has {_partitions(found)} instead of {wanted}: its records have no total order, and Kafka cannot"
        " shrink it. Delete the topic if it holds nothing that you need, or take other topics with"
        " RIVERWATCH_PREFIX."
    )


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"


def apply(
    client: Mapping[str, Any],
    *,
    prefix: str,
    model_partitions: int,
    replication: int,
    dry_run: bool = False,
    patience: float = PATIENCE_SECONDS,
) -> list[Change]:
    """Make all topics as they should be and wait until they are there; returns what was (or would be) done.

    ``client`` is the configuration of a confluent-kafka client; a ``replication`` of -1 is the cluster's own default;
    ``patience`` is how many seconds Kafka may take to answer at all. May be run by several processes at once and as
    often as one likes. Raises ``KafkaUnreachable``, ``TopicsUnfit`` when a topic has a wrong number of partitions
    (then nothing is changed), or ``DeployError`` when Kafka refuses a change.
    """
    admin = AdminClient({"log_level": 2, **client, "error_cb": lambda _error: None})
    decided = plan(_existing(admin, client, prefix, patience), prefix=prefix, model_partitions=model_partitions)
    if decided.problems:
        raise TopicsUnfit("\n".join(decided.problems))
    if not dry_run and decided.changes:
        _carry_out(admin, decided.changes, replication)
        _wait_for(admin, decided.changes)
    return decided.changes


def _existing(admin: AdminClient, client: Mapping[str, Any], prefix: str, patience: float) -> dict[str, ExistingTopic]:
    try:
        found = admin.list_topics(timeout=patience).topics
    except KafkaException as error:
        raise KafkaUnreachable(
            f"Kafka does not answer at {client['bootstrap.servers']} ({error.args[0].str()}). Check --brokers"
            " (RIVERWATCH_BROKERS), or start a Kafka with: riverwatch broker"
        ) from error
    names = [name for name in (topic.full_name(prefix) for topic in TOPICS.values()) if name in found]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=PATIENCE_SECONDS) if resources else {}
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
        for name, created in admin.create_topics(new, request_timeout=PATIENCE_SECONDS).items():
            # Several workers start at once: another one may have been quicker.
            _result(created, f"create {name}", fine=KafkaError.TOPIC_ALREADY_EXISTS)
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
        for resource, done in admin.incremental_alter_configs(altered, request_timeout=PATIENCE_SECONDS).items():
            _result(done, f"configure {resource.name}")


def _wait_for(admin: AdminClient, changes: list[Change]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    missing = {change.topic for change in changes}
    while missing and time.monotonic() < deadline:
        found = admin.list_topics(timeout=PATIENCE_SECONDS).topics
        missing = {
            name
            for name in missing
            if name not in found or any(each.leader < 0 for each in found[name].partitions.values())
        }
        if missing:
            time.sleep(0.05)
    if missing:
        raise DeployError(f"Kafka has created {', '.join(sorted(missing))}, but they have no leader yet. Try again.")


def _result(future: Future[Any], what: str, fine: int | None = None) -> Any:
    try:
        return future.result(PATIENCE_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == fine:
            return None
        raise DeployError(f"Kafka refuses to {what}: {error.args[0].str()}") from error
