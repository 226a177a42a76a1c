"""Plans, records and a plain way to read them, for the tests of ingest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from streams.features.plan import Plan
from streams.formats.written_schema import SchemasWanted
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import Closed
from streams.schema_registry.client import SchemaRegistry
from tests.schemas.documents import feature, parsed

NOW = 2_000_000_000_000
"""The Kafka timestamp of the records of these tests."""

MOST_DELAY = 60_000
"""Bound of the automatic delay in these tests."""

NUMBERS = [feature(kind, kind, "v") for kind in ("sum", "avg", "min", "max", "value_count")]
SKETCHES = [feature("distinct", "cardinality", "v"), feature("percentiles", "percentiles", "v")]
ALL_KINDS = [NUMBERS[1], NUMBERS[3], NUMBERS[4], *SKETCHES]


@dataclass(frozen=True)
class Record:
    """What a consumer gives."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int | None = -1
    headers: Any = ()


def plan(*features: dict[str, Any], owner: str = "d", partitions: int = 4, **members: Any) -> Plan:
    """The plan of a detector with one-second windows on ``t`` and one entity a ``host``."""
    document = {
        "time_field": "t",
        "category_field": ["host"],
        "detection_interval": {"period": {"interval": 1, "unit": "Seconds"}},
        "feature_attributes": list(features) or [feature("f", "sum", "v")],
        **members,
    }
    return Plan.build(
        owner=owner,
        run=1,
        detector_id=owner,
        detector=parsed(**document),
        partitions=partitions,
        most_delay_ms=MOST_DELAY,
    )


def records(values: Iterable[Any], start: int = 0, written: int = -1) -> list[Record]:
    """Records at the offsets from ``start`` on; what is not bytes or None is written as JSON."""
    return [
        Record(
            offset,
            value if value is None or isinstance(value, bytes) else msgspec.json.encode(value),
            timestamp=written,
        )
        for offset, value in enumerate(values, start)
    ]


class WithoutRegistry(Decoder):
    """The decoder of a worker that has no schema registry: what names a schema is refused."""

    def __init__(self, plans: Sequence[Plan], tables: Sequence[EntityTable], *, max_ahead_ms: int) -> None:
        self._registry = SchemaRegistry({})
        super().__init__(plans, tables, max_ahead_ms=max_ahead_ms, schemas=self._registry.known)

    def decode(
        self, topic: str, partition: int, records: Sequence[Any], owners: Collection[str] | None = None
    ) -> Decoded:
        """See ``Decoder``, and ``SchemaSupply.supplied``."""
        while True:
            try:
                return super().decode(topic, partition, records, owners)
            except SchemasWanted as wanted:
                self._registry.fetch(wanted.ids)


def decoder(*plans: Plan, limit: int = 1000) -> Decoder:
    """A decoder with new tables that remember ``limit`` entities."""
    return WithoutRegistry(plans, [EntityTable(plan, limit) for plan in plans], max_ahead_ms=600_000)


def decode(plans: Sequence[Plan], values: Iterable[Any], written: int = NOW) -> Decoded:
    """Decode one batch of one topic's records with new tables."""
    return decoder(*plans).decode("m", 3, records(values, written=written))


def letters(decoded: Decoded) -> list[tuple[int, str, str]]:
    """Offset, reason and owners of each dead letter."""
    return [(letter.offset, letter.reason, ",".join(letter.detectors)) for letter in decoded.dead_letters]


def rows(plan: Plan, closed: Iterable[Closed]) -> dict[tuple[int, int, str], tuple[bytes, ...]]:
    """The accumulators of closed windows, bit for bit: (end, model partition, entity) -> one value a column."""
    found: dict[tuple[int, int, str], tuple[bytes, ...]] = {}
    for window in closed:
        for partition, part in window.parts.items():
            assert part.end == window.end
            columns = split(plan, part.columns)
            for row, entity in enumerate(part.entities):
                assert (window.end, partition, entity) not in found
                found[window.end, partition, entity] = columns[row]
    return found


def split(plan: Plan, columns: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """The accumulators of each row."""
    cut = []
    for column, data in zip(plan.columns, columns, strict=True):
        ends = np.cumsum(column.sizes(data)).tolist()
        assert not ends or ends[-1] == len(data)
        cut.append([data[start:end] for start, end in zip([0, *ends], ends, strict=False)])
    return list(zip(*cut, strict=True))
