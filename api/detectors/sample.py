"""What records look like: which fields they have and of which kind, told from a sample.

Kafka keeps no mapping, so the newest records take its place. Kinds are OpenSearch's, as far as JSON tells them
apart: ``date`` (ISO 8601, or epoch milliseconds as a number or a string of digits), ``number``, ``keyword``,
``boolean``, ``object``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas.query.values import field_values

EARLIEST = 1_000_000_000
"""Whole numbers below this are not taken for a time: 12 January 1970 in milliseconds."""

LATEST = 34_359_738_368_000
"""Year 3058: workers take no later time (``streams.ingest.extract.MAX_TIME``)."""

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


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


def is_time(value: Any) -> bool:
    """Whether a value can be read as a time.

    >>> is_time(1795493160667), is_time("1795493160667"), is_time("2026-11-24T00:00:00Z"), is_time(80), is_time("x")
    (True, True, True, False, False)
    """
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return EARLIEST <= value < LATEST and float(value).is_integer()
    if isinstance(value, str):
        # Python reads no integers of more than 4,300 digits.
        digits = value.isdecimal() and len(value) < 20 and EARLIEST <= int(value) < LATEST
        return digits or _ISO.fullmatch(value) is not None
    return False


def time_of(value: Any) -> int | None:
    """A value as epoch milliseconds, None when it is no time.

    >>> time_of("2026-11-24T00:00:00Z"), time_of("1795493160667"), time_of("soon")
    (1795478400000, 1795493160667, None)
    """
    if not is_time(value):
        return None
    if isinstance(value, str) and not value.isdecimal():
        try:
            moment = datetime.fromisoformat(value.replace(",", "."))
        except ValueError:
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    return int(value)


@dataclass(frozen=True)
class Sample:
    """The newest records of one topic. ``total`` is how many records the topic holds at most."""

    topic: str
    records: Sequence[Mapping[str, Any]]
    total: int

    def kinds(self, path: str) -> set[str]:
        """The kinds of the values at a path; empty when no record has it."""
        return {kind_of(value) for record in self.records for value in field_values(record, path)}

    def is_date(self, path: str) -> bool:
        """Whether most values at a path are times."""
        values = [value for record in self.records for value in field_values(record, path)]
        return bool(values) and sum(map(is_time, values)) * 2 > len(values)


def read_records(values: Iterable[bytes | None]) -> list[Mapping[str, Any]]:
    """The JSON objects of raw records; an array of points gives each of them; what is no JSON is left out.

    >>> read_records([b'[{"a":1},{"a":2}]', b"no", None])
    [{'a': 1}, {'a': 2}]
    """
    records: list[Mapping[str, Any]] = []
    for value in values:
        if value is None:
            continue
        try:
            decoded = orjson.loads(value)
        except orjson.JSONDecodeError:
            continue
        for point in decoded if isinstance(decoded, list) else [decoded]:
            if isinstance(point, dict):
                records.append(point)
    return records
