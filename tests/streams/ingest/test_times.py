"""Times in any unit, and the fields that a record has from Kafka."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from streams.ingest.decode import Decoded
from tests.schemas.documents import feature
from tests.streams.ingest.plans import NOW, decode, decoder, letters, plan
from tests.streams.ingest.test_decode import GOOD, rows

AT = 1_795_489_205_123


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (1_795_489_205, AT - 123),
        (1_795_489_205.123, AT),
        (AT, AT),
        (AT + 0.5, AT),
        (1_795_489_205_123_456, AT),
        (1_795_489_205_123_456_789, AT),
        ("1795489205", AT - 123),
        ("1795489205.123", AT),
        ("1795489205123", AT),
        ("1795489205123456", AT),
        ("1795489205123999999", AT),
    ],
)
def test_each_number_tells_its_unit_alone_and_among_others(time: Any, wanted: int) -> None:
    for company in ([], [time, time], [AT], ["2026-11-24T03:00:05Z"], [1_795_489_205, 1_795_489_205.5]):
        decoded = decode([plan()], [{**GOOD, "t": each} for each in (time, *company)])
        assert letters(decoded) == []
        assert rows(decoded)[0][1] == wanted


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_with_a_unit_a_time_in_another_one_is_a_dead_letter_that_names_both(unit: str) -> None:
    times = {
        "seconds": 1_795_489_205,
        "milliseconds": AT,
        "microseconds": 1_795_489_205_123_456,
        "nanoseconds": 1_795_489_205_123_456_789,
    }
    fixed = plan(time_unit=unit)
    for told, time in times.items():
        for text in (time, float(time), str(time)):
            decoded = decode([fixed], [{**GOOD, "t": text}])
            if told == unit:
                assert [row[1] // 1000 for row in rows(decoded)] == [AT // 1000]
            else:
                (letter,) = decoded.dead_letters
                assert letter.reason == "bad-time"
                assert f"is no time in {unit}; in {told} it is 2026-11-24T03:00:05" in letter.detail


@dataclass(frozen=True)
class Record:
    """What a consumer gives, with headers."""

    offset: int = 0
    value: bytes | None = b'{"v": 1}'
    key: bytes | None = b"host-1"
    timestamp: int | None = AT
    headers: Any = (("region", b"eu"), ("zone.name", b"z1"), ("n", b"7"))


def read(record: Record, **members: Any) -> Decoded:
    return decoder(plan(**{"time_field": "_kafka.timestamp", "category_field": ["_kafka.key"], **members})).decode(
        "m", 3, [record, replace(record, offset=1, value=b'{"v": 1, "x": NaN}')]
    )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("_kafka.key", "host-1"),
        ("_kafka.partition", "3"),
        ("_kafka.headers.region", "eu"),
        ("_kafka.headers.region.keyword", "eu"),
        ("_kafka.headers.zone.name", "z1"),
        ("_kafka.headers.none", None),
    ],
)
def test_the_fields_of_a_record_itself_are_categories(field: str, name: str | None) -> None:
    decoded = read(Record(), category_field=[field])
    assert letters(decoded) == []
    assert [row[1:3] for row in rows(decoded)] == [(AT, name)] * 2


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({"term": {"_kafka.headers.region": "eu"}}, True),
        ({"term": {"_kafka.headers.region": "us"}}, False),
        ({"exists": {"field": "_kafka.key"}}, True),
        ({"exists": {"field": "_kafka.headers.none"}}, False),
        ({"range": {"_kafka.partition": {"gte": 3}}}, True),
        (
            {
                "bool": {
                    "filter": [
                        {"term": {"_kafka.headers.region": "eu"}},
                        {"multi_match": {"query": "1", "fields": ["v*"]}},
                    ]
                }
            },
            True,
        ),
        ({"bool": {"must_not": [{"prefix": {"_kafka.key": "host"}}]}}, False),
    ],
)
def test_filters_see_them(query: dict[str, Any], matches: bool) -> None:
    decoded = read(Record(), filter_query=query)
    assert [row[2] for row in rows(decoded)] == ["host-1" if matches else None] * 2


def test_features_see_them() -> None:
    decoded = decoder(plan(feature("f", "sum", "_kafka.headers.n"), time_field="_kafka.timestamp")).decode(
        "m", 3, [Record(value=b'{"host": "a"}')]
    )
    assert rows(decoded) == [(0, AT, "a", [7.0])]


@pytest.mark.parametrize("stamp", [None, -1, 0])
def test_a_record_without_a_kafka_timestamp_has_no_such_time(stamp: int | None) -> None:
    assert letters(read(Record(timestamp=stamp))) == [(0, "missing-time", "d"), (1, "missing-time", "d")]


def test_a_key_that_is_no_text_is_no_category() -> None:
    assert letters(read(Record(key=b"\xff")))[0] == (0, "bad-category-value", "d")
    assert [row[2] for row in rows(read(Record(key=None)))] == [None, None]


def test_a_member_of_the_value_can_not_pass_for_a_field_of_kafka() -> None:
    value = b'{"v": 1, "_kafka": {"key": "forged"}, "_kafka.key": "forged"}'
    assert [row[2] for row in rows(read(Record(value=value)))] == ["host-1"] * 2
    forged = {"term": {"_kafka.key": "forged"}}
    assert [row[2] for row in rows(read(Record(value=value), filter_query=forged))] == [None, None]


def test_a_plausible_time_is_never_read_as_1970() -> None:
    found = rows(decode([plan()], [{**GOOD, "t": 1_795_489_200}], written=NOW))
    assert [row[1] for row in found] == [1_795_489_200_000]
