from __future__ import annotations

import pytest

from streams.forest.spec import MAX_FEATURES
from streams.settings import Settings


def test_settings_come_from_the_environment_and_flags_win() -> None:
    env = {"RIVERWATCH_PREFIX": "a.", "RIVERWATCH_LINGER_MS": "7", "RIVERWATCH_RESTART": "no"}
    settings = Settings.from_environment(env, prefix="b.")
    assert (settings.prefix, settings.linger_ms, settings.restart) == ("b.", 7, False)
    assert settings.group == "b.workers"


def test_kafka_properties_are_passed_through() -> None:
    settings = Settings.from_environment({"RIVERWATCH_KAFKA_SECURITY_PROTOCOL": "SSL"})
    assert settings.client()["security.protocol"] == "SSL"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RIVERWATCH_LINGER_MS", "five", "RIVERWATCH_LINGER_MS must be a whole number, not 'five'"),
        ("RIVERWATCH_TICK_GRACE", "x", "RIVERWATCH_TICK_GRACE must be a number, not 'x'"),
        ("RIVERWATCH_RESTART", "maybe", "RIVERWATCH_RESTART must be true or false, not 'maybe'"),
        ("RIVERWATCH_MODEL_PARTITIONS", "0", "RIVERWATCH_MODEL_PARTITIONS must be a whole number, above 0, .*, not 0"),
        ("RIVERWATCH_LINGER_MS", "-1", "RIVERWATCH_LINGER_MS must be a whole number, 0 to .*, not -1"),
        (
            "RIVERWATCH_STATISTICS_INTERVAL",
            "0",
            "RIVERWATCH_STATISTICS_INTERVAL must be a number, above 0, .*, not 0.0",
        ),
        ("RIVERWATCH_IDLE_TIMEOUT", "nan", "RIVERWATCH_IDLE_TIMEOUT must be a number, above 0, .*, not nan"),
        ("RIVERWATCH_MAX_FEATURES", str(MAX_FEATURES + 1), "RIVERWATCH_MAX_FEATURES.*10"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.from_environment({name: value})
