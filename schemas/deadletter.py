"""What could not be used: the original bytes and key as they came, and in headers why and where from."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Literal, get_args

Reason = Literal[
    "malformed-json",
    "malformed-record",
    "not-an-object",
    "missing-time",
    "bad-time",
    "time-too-far-ahead",
    "bad-feature-value",
    "bad-category-value",
    "bad-command",
    "refused-command",
    "unreadable-record",
    "undecodable",
]

# A letter that Kafka refuses would stop its worker again at every start. So each fits into a record of Kafka's default
# size, 1,048,588 bytes, with everything at its limit: also on a topic that somebody made without Riverwatch.
MOST_VALUE_BYTES = 900_000
MOST_KEY_BYTES = 100_000
_MOST_DETAIL = 1_000

HEADERS = (
    "riverwatch.topic",
    "riverwatch.partition",
    "riverwatch.offset",
    "riverwatch.reason",
    "riverwatch.detail",
    "riverwatch.detector",
    "riverwatch.bytes",
    "riverwatch.key_bytes",
)
"""The names of all headers; the last two are there only when the value or the key was cut off."""


@dataclass(frozen=True)
class DeadLetter:
    """One unusable record: ``reason`` is for programs, ``detail`` a sentence for people.

    ``detectors`` are those that can't use it, none where nobody can. ``value`` and ``key`` keep their first
    ``MOST_VALUE_BYTES`` and ``MOST_KEY_BYTES``; ``value_bytes`` and ``key_bytes`` say how long they were.
    """

    topic: str
    partition: int
    offset: int
    reason: Reason
    detail: str
    key: bytes | None
    value: bytes | None
    detectors: tuple[str, ...] = ()
    value_bytes: int = field(init=False)
    key_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_bytes", len(self.value or b""))
        object.__setattr__(self, "key_bytes", len(self.key or b""))
        if self.value is not None:
            object.__setattr__(self, "value", self.value[:MOST_VALUE_BYTES])
        if self.key is not None:
            object.__setattr__(self, "key", self.key[:MOST_KEY_BYTES])

    def concerns(self, detector: str) -> bool:
        """Whether this detector can't use the record."""
        return not self.detectors or detector in self.detectors

    def naming(self, detectors: Iterable[str], detail: str) -> DeadLetter:
        """The same letter for these detectors, with this detail."""
        named = copy(self)
        object.__setattr__(named, "detectors", tuple(detectors))
        object.__setattr__(named, "detail", detail)
        return named

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers that go with the original bytes.

        >>> DeadLetter("m", 0, 7, "missing-time", "no field ts", None, b"{}").headers()[2]
        ('riverwatch.offset', b'7')
        >>> DeadLetter("m", 0, 7, "malformed-json", "no end", None, b"{" * 3_000_000).headers()[-1]
        ('riverwatch.bytes', b'3000000')
        """
        values = [
            self.topic,
            str(self.partition),
            str(self.offset),
            self.reason,
            self.detail[:_MOST_DETAIL],
            ",".join(self.detectors),
            str(self.value_bytes) if self.value_bytes > MOST_VALUE_BYTES else None,
            str(self.key_bytes) if self.key_bytes > MOST_KEY_BYTES else None,
        ]
        # A detail may quote half of a surrogate pair, which no UTF-8 can hold.
        return [
            (name, value.encode(errors="backslashreplace"))
            for name, value in zip(HEADERS, values, strict=True)
            if value is not None
        ]


def read_letter(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> DeadLetter:
    """The dead letter in a record of the topic; ``value_bytes`` and ``key_bytes`` are those of what it still holds.

    Raises ``ValueError`` for a record that is none.

    >>> letter = DeadLetter("m", 3, 7, "bad-time", "t: no time", None, b"{}", ("d", "e"))
    >>> read_letter(letter.key, letter.value, letter.headers()) == letter
    True
    """
    given = {name: content.decode(errors="replace") for name, content in headers}
    try:
        topic, partition, offset, reason, detail, detectors = (given[name] for name in HEADERS[:6])
    except KeyError as missing:
        raise ValueError(f"no dead letter: it has no header {missing}") from None
    if reason not in get_args(Reason):
        raise ValueError(f"no dead letter: its reason is {reason!r}")
    names = tuple(filter(None, detectors.split(",")))
    return DeadLetter(topic, int(partition), int(offset), reason, detail, key, value, names)  # type: ignore[arg-type]
