"""Points and their values are found wherever they lie in a record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schemas.documents import feature
from tests.streams.ingest.plans import decode, letters, plan
from tests.streams.ingest.test_decode import GOOD, one, rows


def test_a_record_may_hold_several_points() -> None:
    decoded = decode([plan()], [GOOD, [{**GOOD, "v": 2}, {**GOOD, "v": 3}], GOOD, []])
    assert letters(decoded) == []
    assert [(row[0], row[3][0]) for row in rows(decoded)] == [(0, 1.5), (1, 2.0), (1, 3.0), (2, 1.5)]


def test_bad_members_of_an_array_cost_only_themselves() -> None:
    decoded = decode([plan()], [[{**GOOD, "v": 2}, 5, {**GOOD, "v": "x"}, None, {"v": 1}, {**GOOD, "v": "3"}]])
    assert sorted(reason for _, reason, _ in letters(decoded)) == [
        "bad-feature-value",
        "missing-time",
        "not-an-object",
        "not-an-object",
    ]
    assert [row[3][0] for row in rows(decoded)] == [2.0, 3.0]


def test_an_array_may_have_space_around_it() -> None:
    decoded = decode([plan()], [b' \n[{"t": 1, "host": "a", "v": 1}]\n'])
    assert len(rows(decoded)) == 1


# -- paths ----------------------------------------------------------------------------------------------------------

DEEP = plan(feature("f", "sum", "a.b.c"), category_field=["h.n"])


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"b": {"c": 5}}, "h": {"n": "x"}},
        {"a.b.c": 5, "h.n": "x"},
        {"a": {"b.c": 5}, "h.n": "x"},
        {"a.b": {"c": 5}, "h.n": "x"},
        {"a": {"b": {"c": 5}}, "h.n": "x", "h": None},
        {"a": None, "a.b": {"c": "5"}, "h": {"n": "x"}},
        {"a": {"x": 1}, "a.b.c": 5, "h": {"n": "x"}},
        {"a": [{"b": {"c": 5}}], "h": {"n": "x"}},
    ],
)
def test_dotted_paths_are_nested_objects_or_dotted_names(document: dict[str, Any]) -> None:
    assert one({"t": 1, **document}, DEEP)[1:] == ("x", [5.0, 5.0] if len(DEEP.inputs) == 2 else [5.0])


def test_values_at_two_places_of_the_same_path_all_count() -> None:
    document = {"t": 1, "h": {"n": "x"}, "a": {"b": {"c": 1}}, "a.b.c": 2}
    # The second is read the slow way, for the text.
    decoded = decode([DEEP], [document, {**document, "a.b.c": "2"}])
    assert [row[3][0] for row in rows(decoded)] == [2.0, 1.0, 2.0, 1.0]


def test_an_array_of_objects_has_all_their_values() -> None:
    decoded = decode([DEEP], [{"t": 1, "h.n": "x", "a": [{"b": {"c": 1}}, {"b": [{"c": 2}, {"c": 3}]}, {}]}])
    assert [row[3][0] for row in rows(decoded)] == [1.0, 2.0, 3.0]


def test_a_path_may_lie_inside_another() -> None:
    inside = plan(feature("f", "sum", "a.b"), filter_query={"exists": {"field": "a"}})
    assert one({"t": 1, "host": "x", "a": {"b": 4}}, inside) == (1, "x", [4.0])
    assert one({"t": 1, "host": "x", "a": 3}, inside) == (1, "x", [None])
    assert one({"t": 1, "host": "x"}, inside) == (1, None, [None])


def test_the_keyword_below_a_text_is_the_text() -> None:
    keyword = plan(category_field=["host.keyword"], filter_query={"term": {"dc.keyword": "eu"}})
    assert one({**GOOD, "dc": "eu"}, keyword)[1] == "a"
    assert one({**GOOD, "dc": "us"}, keyword)[1] is None
    assert one({**GOOD, "dc": {"keyword": "eu"}, "host": {"keyword": "b"}}, keyword)[1] == "b"
