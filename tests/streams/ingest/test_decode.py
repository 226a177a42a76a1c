from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.query import compile_query, parse_query
from streams.features.plan import Plan
from streams.ingest.decode import Decoded
from streams.ingest.entities import NO_ENTITY
from streams.ingest.points import UNSTAMPED
from tests.schemas.documents import feature
from tests.streams.ingest.plans import NOW, decode, decoder, letters, plan, records

GOOD = {"t": 1_000, "host": "a", "v": 1.5}


def rows(decoded: Decoded, owner: str = "d") -> list[tuple[int, int, str | None, list[float | None]]]:
    """Offset, time, entity and values of every usable point."""
    batch = decoded.batches[owner]
    names = batch.table.names
    return [
        (
            int(batch.offsets[place]),
            int(batch.times[place]),
            None if batch.entities[place] == NO_ENTITY else names[batch.entities[place]],
            [None if math.isnan(array[place]) else float(array[place]) for array in batch.values.values()],
        )
        for place in range(len(batch.times))
    ]


def one(value: Any, plan_: Plan | None = None) -> tuple[int, str | None, list[float | None]]:
    """The only point of a usable record."""
    decoded = decode([plan_ or plan()], [value])
    assert letters(decoded) == []
    ((_, time, entity, values),) = rows(decoded)
    return time, entity, values


# -- what is bad, by itself and among good records ------------------------------------------------------------------

BAD: list[tuple[Any, str, str]] = [
    (b"", "malformed-json", "empty"),
    (b"   ", "malformed-json", ""),
    (b"{", "malformed-json", "truncated"),
    (b'{"t": 1,}', "malformed-json", "byte 8"),
    (b'{"t": 1} {"t": 2}', "malformed-json", ""),
    (b"hello", "malformed-json", ""),
    (b"\xff\xfe", "malformed-json", ""),
    (b'\xef\xbb\xbf{"t": 1}', "malformed-json", ""),
    (b'{"t": 1000, "host": "\xff", "v": 1}', "bad-category-value", "UTF-8"),
    (b'{"t": 1000, "host": "a", "v": ' + b"[" * 100_000, "malformed-json", ""),
    (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed-json", "nested"),
    (b"5", "not-an-object", "not 5"),
    (b"null", "not-an-object", "null"),
    (b'"text"', "not-an-object", "'text'"),
    ({"host": "a", "v": 1}, "missing-time", "t"),
    ({"t": None, "host": "a", "v": 1}, "missing-time", "t"),
    ({"t": None, "host": "a", "v": "x"}, "missing-time", "t"),
    ({**GOOD, "t": True}, "bad-time", "boolean"),
    ({**GOOD, "t": {}}, "bad-time", "object"),
    ({**GOOD, "t": [1, 2]}, "bad-time", "array"),
    ({**GOOD, "t": "yesterday"}, "bad-time", "yesterday"),
    ({**GOOD, "t": "2024-02-30T00:00:00Z"}, "bad-time", "2024-02-30"),
    ({**GOOD, "t": "nan"}, "bad-time", "nan"),
    ({**GOOD, "t": "-inf"}, "bad-time", "inf"),
    ({**GOOD, "t": ""}, "bad-time", ""),
    ({**GOOD, "t": 10**20}, "bad-time", "years"),
    ({**GOOD, "t": -(10**20)}, "bad-time", "years"),
    ({**GOOD, "t": 10**11 - 1}, "bad-time", "years"),
    ({**GOOD, "t": -1e300}, "bad-time", "years"),
    (b'{"t": ' + b"9" * 400 + b', "host": "a", "v": 1}', "bad-time", "years"),
    (b'{"t": ' + b"9" * 5_000 + b', "host": "a", "v": 1}', "bad-time", ""),
    (b'{"t": NaN, "host": "a", "v": 1}', "bad-time", "nan"),
    (b'{"t": 1e999, "host": "a", "v": 1}', "bad-time", "inf"),
    ({**GOOD, "t": NOW + 600_001}, "time-too-far-ahead", "600001 ms"),
    ({**GOOD, "v": "fast"}, "bad-feature-value", "'fast'"),
    ({**GOOD, "v": {"x": 1}}, "bad-feature-value", "object"),
    ({**GOOD, "v": ["x", "y"]}, "bad-feature-value", "'x'"),
    ({**GOOD, "v": "1_000"}, "bad-feature-value", "1_000"),
    (b'{"t": 1000, "host": ' + b"9" * 5_000 + b', "v": 1}', "bad-category-value", "inf"),
    (b'{"t": 1000, "host": "\\ud800", "v": 1}', "bad-category-value", "surrogate"),
    ({**GOOD, "host": "\u00fc" * 16_384}, "bad-category-value", "32,768"),
    ({**GOOD, "host": {"name": "a"}}, "bad-category-value", "object"),
    ({**GOOD, "host": ["a", "b"]}, "bad-category-value", "array"),
]


@pytest.mark.parametrize(("value", "reason", "detail"), BAD, ids=lambda value: repr(value)[:30])
def test_what_is_bad_gets_a_letter_and_costs_nothing_else(value: Any, reason: str, detail: str) -> None:
    decoded = decode([plan()], [GOOD, value, GOOD])
    (letter,) = decoded.dead_letters
    assert (letter.topic, letter.partition, letter.offset, letter.reason) == ("m", 3, 1, reason)
    assert detail in letter.detail
    assert len(letter.detail) < 300
    assert letter.value == records([value])[0].value
    assert [row[0] for row in rows(decoded)] == [0, 2]


def test_the_letter_names_the_detector_unless_no_detector_can_use_the_record() -> None:
    decoded = decode([plan(), plan(owner="e")], [{**GOOD, "v": "x"}, b"{"])
    assert sorted(letters(decoded)) == [
        (0, "bad-feature-value", "d,e"),
        (1, "malformed-json", ""),
    ]


def test_a_tombstone_is_nothing() -> None:
    decoded = decode([plan()], [None, GOOD, None])
    assert letters(decoded) == []
    assert [row[0] for row in rows(decoded)] == [1]


def test_a_batch_of_nothing() -> None:
    assert rows(decode([plan()], [])) == rows(decode([plan()], [None])) == []


def test_a_huge_record_is_read_and_its_letter_still_fits_into_a_message() -> None:
    filler = "x" * 3_000_000
    decoded = decode([plan()], [{**GOOD, "filler": filler}, {**GOOD, "v": filler}])
    assert [row[0] for row in rows(decoded)] == [0]
    (letter,) = decoded.dead_letters
    assert letter.reason == "bad-feature-value"
    assert letter.value is not None
    assert len(letter.value) < 1_000_000
    assert letter.value_bytes > 3_000_000


@pytest.mark.parametrize("depth", [10, 200, *range(850, 1000, 4), 1000, 3000])
def test_what_is_nested_deep_is_used_or_gets_a_letter(depth: int) -> None:
    deep = "[" * depth + "1" + "]" * depth
    values = [(f'{{"t": 1000, "host": "a", "v": "{number}", "x": {deep}}}').encode() for number in (1, 2)]
    values.append((f'{{"t": 1000, "host": "a", "v": {deep}}}').encode())
    plans = [
        plan(filter_query={"term": {"x": 1}}),
        plan(owner="e"),
        plan(owner="f", filter_query={"exists": {"field": "x.y"}}),
    ]
    decoded = decode(plans, [GOOD, *values, GOOD])
    for letter in decoded.dead_letters:
        assert (letter.reason, letter.detail) == ("malformed-json", "the JSON is nested too deep")
    offsets = {letter.offset for letter in decoded.dead_letters}
    assert offsets == (set() if depth <= 200 else {1, 2, 3} if depth >= 1000 else offsets)
    for owner in "def":
        assert {row[0] for row in rows(decoded, owner)} | offsets == set(range(5))


def test_the_largest_record_time_ahead_counts_the_interval() -> None:
    hour = {"period": {"interval": 60, "unit": "Minutes"}}
    decoded = decode([plan(detection_interval=hour)], [{**GOOD, "t": NOW + 3_600_000}, {**GOOD, "t": NOW + 3_600_001}])
    assert letters(decoded) == [(1, "time-too-far-ahead", "d")]


def test_too_far_ahead_is_judged_against_each_records_own_kafka_timestamp() -> None:
    values = [{**GOOD, "t": NOW}] * 3
    stamps = (NOW - 600_001, NOW - 600_000, NOW + 10**9)
    stream = [replace(record, timestamp=stamp) for record, stamp in zip(records(values), stamps, strict=True)]
    assert letters(decoder(plan()).decode("m", 3, stream)) == [(0, "time-too-far-ahead", "d")]


@pytest.mark.parametrize("stamp", [-1, 0, None])
def test_a_record_without_a_kafka_timestamp_is_never_too_far_ahead(stamp: Any) -> None:
    (record,) = records([GOOD])
    decoded = decoder(plan()).decode("m", 3, [replace(record, timestamp=stamp)])
    assert (letters(decoded), decoded.batches["d"].written.tolist()) == ([], [UNSTAMPED])


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000_123.9, 1_700_000_000_123),
        (-1.5, -2),
        ("1700000000123", 1_700_000_000_123),
        ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
        ("2023-11-14T23:13:20.123+01:00", 1_700_000_000_123),
        ("2023-11-14 22:13:20", 1_700_000_000_000),
        ("2023-11-14", 1_699_920_000_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_forms_of_time(time: Any, wanted: int) -> None:
    assert one({**GOOD, "t": time})[0] == wanted


@given(st.integers(-34_000_000_000_000, NOW))
def test_iso_8601_is_exact_to_the_millisecond(time: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
    assert one({**GOOD, "t": moment.isoformat()})[0] == time


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, 1.0),
        (-0.5, -0.5),
        ("1.5", 1.5),
        (" 2 ", 2.0),
        (2**60, float(2**60)),
        (True, 1.0),
        (False, 0.0),
        ([True], 1.0),
        (None, None),
        ([], None),
        ([None], None),
        ([7], 7.0),
    ],
)
def test_forms_of_a_number(value: Any, wanted: float | None) -> None:
    assert one({**GOOD, "v": value})[2][0] == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("x", "x"),
        ("", ""),
        (404, "404"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        ("a|b", "a|b"),
        (None, None),
        ("\u00fc" * 50, "\u00fc" * 50),
        (10**30, str(10**30)),
        (["x"], "x"),
        ([], None),
    ],
)
def test_forms_of_a_category(value: Any, wanted: str | None) -> None:
    found = one({**GOOD, "host": value})[1]
    assert found == (wanted if wanted is None or "|" not in wanted else wanted.replace("|", "\\|"))


def test_numbers_and_booleans_are_not_mixed_up_as_categories() -> None:
    decoded = decode([plan()], [{**GOOD, "host": value} for value in (1, True, "1", "true", 1.0, 0, False)])
    assert [row[2] for row in rows(decoded)] == ["1", "true", "1", "true", "1.0", "0", "false"]


def test_every_value_of_an_array_counts() -> None:
    several = plan(feature("s", "sum", "v"), feature("n", "value_count", "v"), feature("w", "max", "w"))
    decoded = decode([several], [{**GOOD, "v": [1, 2, None, [3]], "w": 9}, {"t": 1, "host": "a", "w": [4, 5]}])
    assert letters(decoded) == []
    assert [row[0] for row in rows(decoded)] == [0, 0, 0, 1, 1]
    assert [row[3] for row in rows(decoded)] == [
        [1.0, 3.0, 9.0],
        [2.0, None, None],
        [3.0, None, None],
        [None, None, 4.0],
        [None, None, 5.0],
    ]


def test_a_text_counts_as_a_value_where_only_counting_matters() -> None:
    counting = plan(feature("n", "value_count", "v"))
    decoded = decode([counting], [{**GOOD, "v": value} for value in ("x", 0, False, {"a": 1}, None, [], ["x", "y"])])
    assert [row[3] for row in rows(decoded)] == [[1.0], [1.0], [1.0], [1.0], [None], [None], [2.0]]


# -- several detectors ----------------------------------------------------------------------------------------------


def test_what_one_detector_cannot_use_may_be_good_for_another() -> None:
    numbers, texts = plan(feature("f", "sum", "code")), plan(owner="e", category_field=["code"])
    decoded = decode([numbers, texts], [{**GOOD, "code": 404}, {**GOOD, "code": "x"}, {**GOOD, "code": {}}])
    assert letters(decoded) == [
        (1, "bad-feature-value", "d"),
        (2, "bad-feature-value", "d"),
        (2, "bad-category-value", "e"),
    ]
    assert [row[3][0] for row in rows(decoded, "d")] == [404.0]
    assert [row[2] for row in rows(decoded, "e")] == ["404", "x"]


def test_a_field_that_nobody_reads_may_hold_anything() -> None:
    for value in (b"NaN", b"1e999", b'"\xff"', b'{"t": "x"}', b"9" * 5_000):
        decoded = decode([plan()], [b'{"t": 1000, "host": "a", "v": ["1"], "x": %s}' % value, GOOD])
        assert letters(decoded) == []


def test_a_category_that_another_detector_looks_into_may_be_an_object() -> None:
    plans = [plan(), plan(owner="e", category_field=["host.name"])]
    decoded = decode(plans, [GOOD, {**GOOD, "host": {"name": "x"}}, GOOD])
    assert letters(decoded) == [(1, "bad-category-value", "d")]
    assert [row[0] for row in rows(decoded)] == [0, 2]
    assert [row[2] for row in rows(decoded, "e")] == [None, "x", None]


@pytest.mark.parametrize("digits", [300, 400, 4_300, 5_000])
def test_integers_beyond_a_double_are_compared_and_counted_or_cost_only_their_record(digits: int) -> None:
    plans = [
        plan(filter_query={"range": {"x": {"gt": 5}}}),
        plan(feature("f", "sum", "x"), owner="e"),
        plan(feature("f", "cardinality", "x"), owner="f", category_field=["x"]),
    ]
    decoded = decode(plans, [{**GOOD, "x": 7}, b'{"t": 1000, "host": "a", "v": 1, "x": %s}' % (b"9" * digits)])
    assert [row[2] for row in rows(decoded)] == ["a", "a"]
    reasons = {(reason, owner) for _, reason, owner in letters(decoded)}
    assert reasons == ({("bad-category-value", "f")} if digits > 4_300 else set())
    assert decoded.counts["e"]["missing"] == (digits > 308)


def test_a_boolean_is_one_or_zero_whatever_its_neighbours_are() -> None:
    for path in ("v", "v.w"):
        numbers = plan(feature("f", "sum", path))
        for neighbours in ([], [1], [1.5], ["2"], [None], [[1, 2]]):
            decoded = decode([numbers], [{"t": 1, "host": "a", path: value} for value in [True, *neighbours, False]])
            assert letters(decoded) == []
            found = [row[3][0] for row in rows(decoded)]
            assert (found[0], found[-1]) == (1.0, 0.0)


def test_a_record_of_many_bad_points_is_one_letter_for_each_detector() -> None:
    decoded = decode([plan(), plan(owner="e")], [[{"t": 1, "host": "a", "v": "x"}] * 1_000 + [5] * 1_000])
    assert letters(decoded) == [(0, "not-an-object", ""), (0, "bad-feature-value", "d,e")]
    assert decoded.dead_letters[1].detail.endswith("(and 999 more of its points)")


def test_detectors_with_other_time_fields() -> None:
    decoded = decode([plan(), plan(owner="e", time_field="u")], [{**GOOD, "u": "1970-01-01T00:00:09Z"}, GOOD])
    assert [row[1] for row in rows(decoded)] == [1000, 1000]
    assert [row[1] for row in rows(decoded, "e")] == [9000]
    assert letters(decoded) == [(1, "missing-time", "e")]


def test_only_the_wanted_detectors_are_served() -> None:
    decoded = decoder(plan(), plan(owner="e")).decode("m", 0, records([{**GOOD, "v": "x"}, GOOD]), owners={"e"})
    assert list(decoded.batches) == ["e"]
    assert letters(decoded) == [(0, "bad-feature-value", "e")]


# -- against a plain way to read ------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.5, 7.0])
    | st.sampled_from(["a", "7", "x.y", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["n", "m", "n.m"]), inner, max_size=2),
    max_leaves=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "t": st.integers(0, 9) | ANYTHING,
        "h": ANYTHING,
        "h.n": st.sampled_from(["a", "b", 3]) | ANYTHING,
        "v": st.floats(-5, 5) | ANYTHING,
        "x": ANYTHING,
    },
)
QUERIES: list[dict[str, Any]] = [
    {"match_all": {}},
    {"term": {"h.n": "a"}},
    {"range": {"v": {"gte": 1}}},
    {"exists": {"field": "x.n"}},
    {
        "bool": {
            "must_not": [{"exists": {"field": "x"}}],
            "should": [{"term": {"v": "7"}}, {"terms": {"h.n": [3, "b"]}}],
        }
    },
    {"query_string": {"query": "a"}},
    {"term": {"x.keyword": "a"}},
]


@given(st.lists(DOCUMENTS, max_size=6), st.sampled_from(QUERIES))
def test_filters_see_the_whole_record(documents: list[dict[str, Any]], query: dict[str, Any]) -> None:
    filtered = plan(category_field=["h.n"], filter_query=query)
    decoded = decode([filtered], documents)
    matches = compile_query(parse_query(query))
    free = decode([plan(category_field=["h.n"])], documents)
    assert [row for row in rows(decoded) if matches(documents[row[0]])] == [
        row for row in rows(free) if matches(documents[row[0]])
    ]
    assert all(row[2] is None for row in rows(decoded) if not matches(documents[row[0]]))
    assert letters(decoded) == [letter for letter in letters(free) if matches(documents[letter[0]])]


@given(st.lists(DOCUMENTS, max_size=8))
def test_the_company_of_a_record_changes_nothing(documents: list[dict[str, Any]]) -> None:
    plans = [plan(category_field=["h.n"]), plan(feature("n", "avg", "h.n"), owner="e", category_field=["v"])]
    together = decode(plans, documents)
    alone = [decode([one_], [document]) for document in documents for one_ in plans]
    for each, owner in enumerate(("d", "e")):
        wanted = [(at, *row[1:]) for at in range(len(documents)) for row in rows(alone[2 * at + each], owner)]
        assert rows(together, owner) == wanted
    by_itself = [
        (at, letter.reason, owner)
        for at in range(len(documents))
        for decoded in alone[2 * at : 2 * at + 2]
        for letter in decoded.dead_letters
        for owner in letter.detectors
    ]
    found = [(letter.offset, letter.reason, owner) for letter in together.dead_letters for owner in letter.detectors]
    assert sorted(found) == sorted(by_itself)


@given(st.binary(max_size=12) | st.text(max_size=12).map(str.encode), st.integers(0, 30), st.booleans())
def test_damaged_bytes_never_raise(noise: bytes, at: int, replace: bool) -> None:
    good = msgspec.json.encode(GOOD)
    value = good[:at] + noise + good[at + len(noise) * replace :]
    decoded = decode([plan()], [GOOD, value, GOOD])
    assert len(rows(decoded)) + len({letter.offset for letter in decoded.dead_letters}) >= 3 or b"[]" in value
    assert [row[0] for row in rows(decoded)][:1] == [0]
    assert np.isfinite([row[1] for row in rows(decoded)]).all()


def test_distinct_values_are_the_same_whatever_their_type() -> None:
    counting = plan(feature("c", "cardinality", "v"), feature("v", "value_count", "v"))
    decoded = decode([counting], [{**GOOD, "v": v} for v in (1, "1", 1.0, True, "true", None, ["a", 1], {"a": 1})])
    assert letters(decoded) == []
    hashes = [row[3][0] for row in rows(decoded)]
    assert hashes[0] == hashes[1] == hashes[2] == hashes[7]
    assert hashes[3] == hashes[4]
    assert hashes[5] is None
    assert len(set(hashes)) == 4
    assert all(number is None or number == int(number) < 2**52 for number in hashes)


def test_a_distinct_count_of_a_category_field() -> None:
    counting = plan(feature("c", "cardinality", "host"))
    decoded = decode([counting], [{**GOOD, "host": host} for host in ("a", "b", 5)])
    assert len({row[3][0] for row in rows(decoded)}) == 3
