"""``riverwatch topics``."""

from __future__ import annotations

from schemas.topics import TOPICS
from tests.command_line import run
from tests.conftest import Broker


def test_topics_apply_shows_then_does_then_has_nothing_to_do(broker: Broker, topic_prefix: str) -> None:
    flags = ("topics", "apply", "--brokers", broker.bootstrap, "--prefix", topic_prefix, "--model-partitions", "2")
    shown = run(*flags, "--dry-run")
    assert shown.stdout.count("would create") == len(TOPICS)
    done = run(*flags)
    assert done.stdout.count("create ") == len(TOPICS)
    assert run(*flags).stdout == "topics ready: nothing to do\n"
    refused = run(*flags[:-1], "3")
    assert refused.returncode == 9
    assert "RIVERWATCH_MODEL_PARTITIONS=2" in refused.stderr
