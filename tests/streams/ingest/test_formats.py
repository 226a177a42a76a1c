"""Records in any format become the same batches, alone and mixed, with and without a word about their format."""

from __future__ import annotations

from typing import Any

import pytest

from streams.features.plan import Plan
from streams.formats.written_schema import KnownSchemas, SchemasWanted
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.entities import EntityTable
from tests.schemas.documents import feature
from tests.streams.formats.samples import AT, PRODUCERS, Producer, avro, known_schemas
from tests.streams.ingest.plans import Record, letters, plan
from tests.streams.ingest.test_decode import rows

EVERY = pytest.mark.parametrize("producer", PRODUCERS.values(), ids=PRODUCERS)
GARBAGE = b"\xff\xfe?"


def plan_of(producer: Producer, *, told: bool = True, **members: Any) -> Plan:
    """A detector of what a producer writes."""
    source = {"format": producer.format, "points": producer.points or ..., "time_unit": producer.unit} if told else {}
    return plan(
        feature("f", "avg", producer.value),
        **{"time_field": producer.time, "category_field": [producer.host], **source, **members},
    )


def decode(plans: list[Plan], records: list[Record], known: KnownSchemas | None = None) -> Decoded:
    decoder = Decoder(plans, [EntityTable(each) for each in plans], max_ahead_ms=1, schemas=known or known_schemas())
    return decoder.decode("m", 0, records)


def written(producer: Producer, values: list[float]) -> list[Record]:
    """A record a second."""
    found = []
    for second, value in enumerate(values):
        content, headers = producer.write(value, AT + second * 1000)
        found.append(Record(second, content, timestamp=AT + second * 1000, headers=headers))
    return found


@EVERY
def test_every_producer_is_read(producer: Producer) -> None:
    values = [0.5, 12.25, 99.0]
    decoded = decode([plan_of(producer)], written(producer, values))
    assert letters(decoded) == []
    points = 2 if producer.points else 1
    wanted = [(at, AT + at * 1000, "a", [value]) for at, value in enumerate(values) for _ in range(points)]
    assert rows(decoded) == wanted


@EVERY
def test_garbage_among_the_records_costs_only_itself(producer: Producer) -> None:
    first, _, third = written(producer, [1.0, 2.0, 3.0])
    decoded = decode([plan_of(producer)], [first, Record(1, GARBAGE, timestamp=AT), third])
    reason = (
        "malformed-json" if producer.format in ("json", "cloudevents") and not producer.points else "malformed-record"
    )
    assert letters(decoded) == [(1, reason, "")]
    assert {row[0] for row in rows(decoded)} == {0, 2}


@EVERY
def test_a_filter_that_has_to_see_whole_records_sees_them(producer: Producer) -> None:
    for query, found in ((producer.host.split(".")[0], True), ("nothing", False)):
        filtered = plan_of(producer, filter_query={"exists": {"field": query}})
        assert {row[2] for row in rows(decode([filtered], written(producer, [1.0])))} == {"a" if found else None}


@pytest.mark.parametrize(
    "name",
    [name for name, each in PRODUCERS.items() if each.format not in ("connect", "otlp-json") and not each.points],
)
def test_nobody_has_to_tell_the_format_of_what_is_no_json(name: str) -> None:
    producer = PRODUCERS[name]
    records = written(producer, [0.5, 12.25])
    decoded = decode([plan_of(producer, told=False)], records)
    if producer.headers_tell:
        assert decoded.dead_letters != []
    else:
        assert rows(decoded) == rows(decode([plan_of(producer)], records))


def test_detectors_that_read_a_topic_in_other_ways_do_so_side_by_side() -> None:
    batch, single = PRODUCERS["telegraf-batch"], PRODUCERS["telegraf"]
    plans = [plan_of(batch), plan_of(single, owner="e")]
    records = [*written(single, [1.0]), Record(1, b"{", timestamp=AT)]
    decoded = decode(plans, records)
    assert [row[3] for row in rows(decoded, "d")] == [row[3] for row in rows(decoded, "e")] == [[1.0]]
    assert letters(decoded) == [(1, "malformed-record", "d"), (1, "malformed-json", "e")]


def test_a_schema_is_asked_for_before_anything_has_happened() -> None:
    known = KnownSchemas()
    value, _ = avro(1.5, AT)
    producer = PRODUCERS["avro"]
    decoder = Decoder([plan_of(producer)], [EntityTable(plan_of(producer))], max_ahead_ms=1, schemas=known)
    with pytest.raises(SchemasWanted):
        decoder.decode("m", 0, [Record(0, value, timestamp=AT)])
    known.refuse(1, "the registry has no schema 1")
    (letter,) = decoder.decode("m", 0, [Record(0, value, timestamp=AT)]).dead_letters
    assert (letter.reason, letter.detail) == ("malformed-record", "the registry has no schema 1")
