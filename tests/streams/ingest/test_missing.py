"""What stands for no value or is of no use costs only itself; what a filter leaves out costs nobody anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schemas.documents import feature
from tests.streams.ingest.plans import decode, letters, plan
from tests.streams.ingest.test_decode import GOOD, rows

TWO = plan(feature("good", "sum", "good"), feature("other", "avg", "other"), category_field=...)


@pytest.mark.parametrize("other", ["NaN", "Infinity", "-Infinity", "", " ", "n/a", "N/A", "null", "1e999"])
def test_what_stands_for_no_value_is_missing_and_the_others_of_its_record_count(other: str) -> None:
    decoded = decode([TWO], [{"t": 1, "good": 1, "other": other}])
    assert letters(decoded) == []
    assert rows(decoded) == [(0, 1, "", [1.0, None])]
    assert decoded.counts["d"] == {"missing": 1, "filtered": 0}


@pytest.mark.parametrize("other", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 400, b"9" * 5_000])
def test_so_are_numbers_that_are_none(other: bytes) -> None:
    decoded = decode([TWO], [b'{"t": 1, "good": 1, "other": %s}' % other])
    assert letters(decoded) == []
    assert rows(decoded) == [(0, 1, "", [1.0, None])]
    assert decoded.counts["d"]["missing"] == 1


@pytest.mark.parametrize("other", ["fast", {}, {"a": 1}, "1_000"])
def test_a_value_of_no_use_costs_only_itself_where_another_is_of_use(other: Any) -> None:
    decoded = decode([TWO], [{"t": 1, "good": 1, "other": other}, {"t": 2, "other": other}])
    assert letters(decoded) == [(1, "bad-feature-value", "d")]
    assert rows(decoded) == [(0, 1, "", [1.0, None])]
    assert decoded.counts["d"]["unusable"] == 2


def test_in_an_array_the_numbers_count() -> None:
    decoded = decode([plan()], [{**GOOD, "v": [1, "x", "NaN", 2]}])
    assert letters(decoded) == []
    assert [row[3] for row in rows(decoded)] == [[1.0], [2.0]]
    assert (decoded.counts["d"]["unusable"], decoded.counts["d"]["missing"]) == (1, 1)


def test_a_boolean_is_one_or_zero_beside_another_feature() -> None:
    decoded = decode([TWO], [{"t": 1, "good": 1, "other": True}, {"t": 1, "good": 1, "other": False}])
    assert [row[3] for row in rows(decoded)] == [[1.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    "left_out",
    [
        {"v": "text"},
        {"v": {}},
        {"host": {"a": 1}},
        {"host": ["a", "b"]},
        {"t": "yesterday"},
        {"t": None},
        {"t": 9_000_000_000_000},
    ],
)
def test_what_the_filter_leaves_out_is_nobodys_dead_letter(left_out: dict[str, Any]) -> None:
    filtered = plan(filter_query={"term": {"kind": "cpu"}})
    decoded = decode([filtered], [{**GOOD, "kind": "log", **left_out}, {**GOOD, "kind": "cpu"}])
    assert letters(decoded) == []
    assert [row[2] for row in rows(decoded) if row[0] == 1] == ["a"]
    assert [row[2] for row in rows(decoded) if row[0] == 0] in ([], [None])
    assert decoded.counts["d"]["filtered"] == 1


def test_what_the_filter_of_a_feature_leaves_out_is_of_no_interest_to_it() -> None:
    query = {"x": {"filter": {"term": {"kind": "cpu"}}, "aggs": {"v": {"avg": {"field": "v"}}}}}
    filtered = plan({"feature_name": "x", "aggregation_query": query})
    decoded = decode([filtered], [{**GOOD, "kind": "log", "v": "text"}, {**GOOD, "kind": "cpu", "v": "text"}])
    assert letters(decoded) == [(1, "bad-feature-value", "d")]
    assert [row[3] for row in rows(decoded)] == [[None]]


def test_dots_and_nesting_are_the_same_path_also_on_one_topic() -> None:
    usage = plan(feature("f", "sum", "system.cpu.total.pct"), category_field=["host.name"])
    documents: list[dict[str, Any]] = [
        {"system.cpu": {"total.pct": 0.5}, "host.name": "a"},
        {"system": {"cpu.total.pct": 0.5}, "host": {"name": "a"}},
        {"system": {"cpu": {"total": {"pct": 0.5}}}, "host": {"name": "a"}},
        {"system.cpu.total.pct": 0.5, "host.name": "a"},
    ]
    decoded = decode([usage], [{"t": 1, **document} for document in documents])
    assert letters(decoded) == []
    assert [row[1:] for row in rows(decoded)] == [(1, "a", [0.5])] * 4


def test_an_export_of_opensearch_with_keyword_behind_its_fields_works() -> None:
    exported = plan(
        feature("n", "cardinality", "user.keyword"),
        category_field=["host.keyword"],
        filter_query={"term": {"env.keyword": "prod"}},
    )
    decoded = decode([exported], [{"t": 1, "host": "a", "user": "u", "env": env} for env in ("prod", "test")])
    assert letters(decoded) == []
    assert [row[2] for row in rows(decoded)] == ["a", None]
    assert rows(decoded)[0][3][0] is not None
