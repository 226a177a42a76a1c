"""What records look like: which fields they have and of which kind, told from a sample.

Kafka keeps no mapping, so the newest records take its place. Kinds are OpenSearch's, as far as JSON tells them
apart: ``date`` (ISO 8601, or a number or a string of digits that is a time of our age), ``number``, ``keyword``,
``boolean``, ``object``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.detector import Detector
from schemas.query.values import field_values
from schemas.time_unit import UNIT_RANGES, TimeUnit
from streams.formats.codec import Codec, Headers, Unreadable
from streams.formats.codecs import codec_of
from streams.formats.json import UNREADABLE, read_document
from streams.formats.kafka_value import kafka_members
from streams.formats.sniff import Told, told_format
from streams.formats.time import to_time, told_unit
from streams.formats.values import Unusable
from streams.formats.written_schema import SchemasWanted
from streams.schema_registry.client import SchemaRegistry

EXAMPLE_BYTES = 60
SNIFFED = 500
"""Records from which the format is told."""

NOTHING_TOLD = Told(None)

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
    """The newest records of one topic. ``total`` is how many records the topic holds at most.

    ``source`` is what format they are in; ``example`` is how one of them begins.
    """

    topic: str
    records: Sequence[Mapping[str, Any]]
    total: int
    source: Told = NOTHING_TOLD
    example: bytes = b""

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


def source_of(detector: Detector) -> Told:
    """What a detector says about the format of its records."""
    return Told(detector.format, detector.points)


def source_in(samples: Iterable[Sample]) -> Told:
    """The format of all topics; none where they differ, or have no records."""
    sources = {dataclasses.replace(sample.source, others=0) for sample in samples if sample.records}
    return sources.pop() if len(sources) == 1 else NOTHING_TOLD


def unit_in(samples: Iterable[Sample], path: str) -> TimeUnit | None:
    """The unit of the times at a path; None where they are texts, or differ from topic to topic."""
    units = {unit for sample in samples if (unit := told_unit(sample.values(path))) is not None}
    return units.pop() if len(units) == 1 else None


def read_sample(topic: str, raw: Sequence[RawRecord], total: int, source: Told, registry: SchemaRegistry) -> Sample:
    """What a topic's newest records hold. Raises ``RegistryAway``.

    Each point has Kafka's fields, too. Records that are not in the format are left out.

    >>> raw = [RawRecord(b'[{"a":1},{"a":2}]'), RawRecord(b"no"), RawRecord(None)]
    >>> found = read_sample("m", raw, 3, Told(None), SchemaRegistry({}))
    >>> [record["a"] for record in found.records], found.source.format
    ([1, 2], 'json')
    """
    if source.format is None:
        told = told_format((record.value, record.headers or ()) for record in raw[-SNIFFED:])
        source = dataclasses.replace(told, points=source.points or told.points)
    codec = codec_of(source.format or "json", source.points, registry.known)
    records: list[Mapping[str, Any]] = []
    for record in raw:
        for point in () if record.value is None else _points(codec, record.value, record.headers or (), registry):
            records.append({**point, "_kafka": kafka_members(record, record.partition)})
    example = next((record.value for record in raw if record.value is not None), b"")
    return Sample(topic, records, total, source, example[:EXAMPLE_BYTES])


def _points(codec: Codec | None, value: bytes, headers: Headers, registry: SchemaRegistry) -> list[Mapping[str, Any]]:
    try:
        found = value if codec is None else codec.read(value, headers)
        if isinstance(found, bytes):
            document = read_document(found)
            found = document if isinstance(document, list) else [document]
        return [point for point in found if isinstance(point, Mapping)]
    except SchemasWanted as wanted:
        registry.fetch(wanted.ids)
        return _points(codec, value, headers, registry)
    except (Unreadable, *UNREADABLE):
        return []
