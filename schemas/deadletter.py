"""What could not be used: the original bytes and key as they came, and in headers why and where from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "malformed-json",
    "not-an-object",
    "missing-time",
    "bad-time",
    "time-too-far-ahead",
    "bad-feature-value",
    "bad-category-value",
    "bad-command",
    "refused-command",
    "unreadable-record",
]


@dataclass(frozen=True)
class DeadLetter:
    """One unusable record: ``reason`` is for programs, ``detail`` a sentence for people."""

    topic: str
    partition: int
    offset: int
    reason: Reason
    detail: str
    key: bytes | None
    value: bytes | None
    detector_id: str = ""

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers that go with the original bytes.

        >>> DeadLetter("m", 0, 7, "missing-time", "no field ts", None, b"{}").headers()[2]
        ('riverwatch.offset', b'7')
        """
        return [
            ("riverwatch.topic", self.topic.encode()),
            ("riverwatch.partition", str(self.partition).encode()),
            ("riverwatch.offset", str(self.offset).encode()),
            ("riverwatch.reason", self.reason.encode()),
            ("riverwatch.detail", self.detail.encode()),
            ("riverwatch.detector", self.detector_id.encode()),
        ]
