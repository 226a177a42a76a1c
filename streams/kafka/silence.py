"""librdkafka writes log lines of its own, many times over, about what its errors say already."""

from __future__ import annotations


class SilentLogger:
    """A logger for Kafka clients that drops everything."""

    def log(self, *_arguments: object, **_named: object) -> None:
        """Drop a line."""
