"""The changes that bring Riverwatch's topics into line with ``schemas.topics``. Pure; ``apply`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.topics import TOPICS


@dataclass(frozen=True)
class ExistingTopic:
    """A topic as Kafka has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """A topic to create, or to configure anew. ``config`` holds the values to set."""

    topic: str
    action: Literal["create", "configure"]
    partitions: int
    config: Mapping[str, str]
    detail: str

    def __str__(self) -> str:
        return f"{self.action} {self.topic}: {self.detail}"


@dataclass(frozen=True)
class Plan:
    """The changes to make. ``problems`` need a person's decision: while there are any, nothing may be changed."""

    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan(existing: Mapping[str, ExistingTopic], *, prefix: str, model_partitions: int) -> Plan:
    """Compare ``existing`` (by full name) with all of Riverwatch's topics.

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
            result.problems.append(_mismatch(name, found.partitions, wanted, topic.sizing == "models"))
        wrong = {key: value for key, value in config.items() if found.config.get(key) != value}
        if wrong:
            described = ", ".join(f"{key} {found.config.get(key, 'unset')} -> {wrong[key]}" for key in wrong)
            result.changes.append(Change(name, "configure", found.partitions, wrong, described))
    return result


def _mismatch(name: str, found: int, wanted: int, holds_models: bool) -> str:
    if holds_models:
        return (
            f"{name} has {_partitions(found)}, but RIVERWATCH_MODEL_PARTITIONS is {wanted}. The number cannot be"
            " changed: models would move away from their checkpoints. Set"
            f" RIVERWATCH_MODEL_PARTITIONS={found}, or use other topics with RIVERWATCH_PREFIX."
        )
    return (
        f"{name} has {_partitions(found)} instead of {wanted}: its records have no total order, and Kafka cannot"
        " shrink a topic. Delete it if it holds nothing that you need, or use other topics with RIVERWATCH_PREFIX."
    )


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"
