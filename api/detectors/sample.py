"""What records look like: which fields they have and of which kind, told from a sample.

Kafka keeps no mapping, so the newest records take its place. Kinds are OpenSearch's, as far as JSON tells them
apart: ``date`` (ISO 8601, or a number or a string of digits that is a time of our age), ``number``, ``keyword``,
``boolean``, ``object``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formats.json import UNREADABLE, read_document
from formats.kafka_value import kafka_members
from formats.time import to_time, told_unit
from formats.values import Unusable
from schemas.query.values import field_values
from schemas.time_unit import UNIT_RANGES, TimeUnit

_LEAST = UNIT_RANGES["seconds"][0]
"""A number below is not taken for a time: it may be anything."""


@dataclass(frozen=True)
class RawRecord:
    """A record as Kafka gave it. ``timestamp`` is epoch ms, 0 or less for none."""

    value: bytes | None
    partition: int = 0
    key: bytes | None = None
    timestamp: int | None = None
    headers: Sequence[tuple[str, bytes | None]] | None = None


def kind_of(value: Any) -> str:
    """The kind of one value.

    >>> kind_of("a"), kind_of(1.5), kind_of(1795493160667), kind_of("2026-11-24T00:00:00Z"), kind_of(True)
    ('keyword', 'number', 'number', 'keyword', 'boolean')
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "keyword" if isinstance(value, str) else "object"


def time_of(value: Any, unit: TimeUnit | None = None) -> int | None:
    """A value as epoch milliseconds, as workers read it; None when it is no time.

    >>> time_of("2026-11-24T00:00:00Z"), time_of("1795493160667"), time_of(1795493160), time_of("soon"), time_of(80)
    (1795478400000, 1795493160667, 1795493160000, None, None)
    """
    try:
        time = to_time(value, unit)
    except Unusable:
        return None
    return None if abs(time) < _LEAST else time


@dataclass(frozen=True)
class Sample:
    """The newest records of one topic. ``total`` is how many records the topic holds at most."""

    topic: str
    records: Sequence[Mapping[str, Any]]
    total: int

    def kinds(self, path: str) -> set[str]:
        """The kinds of the values at a path; empty when no record has it."""
        return {kind_of(value) for value in self.values(path)}

    def values(self, path: str) -> list[Any]:
        """All values at a path."""
        return [value for record in self.records for value in field_values(record, path)]

    def is_date(self, path: str, unit: TimeUnit | None = None) -> bool:
        """Whether most values at a path are times."""
        values = self.values(path)
        return bool(values) and sum(time_of(value, unit) is not None for value in values) * 2 > len(values)


def unit_in(samples: Iterable[Sample], path: str) -> TimeUnit | None:
    """The unit of the times at a path; None where they are texts, or differ from topic to topic."""
    units = {unit for sample in samples if (unit := told_unit(sample.values(path))) is not None}
    return units.pop() if len(units) == 1 else None


def read_records(records: Iterable[RawRecord]) -> list[Mapping[str, Any]]:
    """The JSON objects of records, each with Kafka's fields; an array of points gives each of them.

    What is no JSON is left out.

    >>> found = read_records(map(RawRecord, [b'[{"a":1},{"a":2}]', b"no", None]))
    >>> [record["a"] for record in found]
    [1, 2]
    """
    found: list[Mapping[str, Any]] = []
    for record in records:
        if record.value is None:
            continue
        try:
            decoded = read_document(record.value)
        except UNREADABLE:
            continue
        kafka = kafka_members(record, record.partition)
        for point in decoded if isinstance(decoded, list) else [decoded]:
            if isinstance(point, dict):
                found.append({**point, "_kafka": kafka})
    return found
