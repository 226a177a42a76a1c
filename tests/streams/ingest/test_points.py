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
    assert [(letter.reason, letter.detail) for letter in decoded.dead_letters] == [
        ("not-an-object", "a JSON object is expected, not 5 (and 1 more of its points)"),
        ("bad-feature-value", "v: 'x' is not a number (and 1 more of its points)"),
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


@pytest.mark.parametrize(
    ("document", "entity"),
    [
        ({"a": {"b": {"keyword": "x"}, "b.keyword": "y"}}, None),
        ({"a": [{"b": "x"}]}, "x"),
        ({"a": {"b.keyword": "x"}}, "x"),
        ({"a.b": [{"keyword": "x"}]}, "x"),
        ({"a.b": {"c": "x"}}, None),
        ({"a.b.keyword": [None], "a": {"b": "x"}}, "x"),
    ],
)
def test_a_keyword_is_found_on_every_way_to_it(document: dict[str, Any], entity: str | None) -> None:
    # The second plan makes anything of the field welcome, so that it is read the fast way.
    plans = [plan(category_field=["a.b.keyword"]), plan(feature("n", "value_count", "a.b"), owner="e")]
    for company in ([], plans[1:]):
        decoded = decode([plans[0], *company], [{**GOOD, **document}])
        assert [row[2] for row in rows(decoded)] == ([entity] if decoded.dead_letters == [] else [])


def test_a_field_exists_when_members_below_it_do_however_they_are_spelled() -> None:
    there = plan(filter_query={"exists": {"field": "a.b"}}, category_field=...)
    yes: list[dict[str, Any]] = [{"a": {"b": 1}}, {"a.b": {"c": 1}}, {"a.b.c": 1}, {"a": {"b.c": 1}}]
    no: list[dict[str, Any]] = [{"a": 1}, {"a.bc": 1}, {"a": {"b.c": None}}, {"b.c": 1}, {"x": "a.b.c"}]
    values = [*({**GOOD, **value} for value in yes + no), b'{"t": 1000, "v": 1, "\\u0061.b.c": 1}']
    assert [row[2] for row in rows(decode([there], values))] == [""] * 4 + [None] * 5 + [""]
    assert [row[2] for row in rows(decode([there], [[{**GOOD, **yes[3]}]]))] == [""]


def test_names_that_no_struct_can_have_are_found() -> None:
    for name in ('a"b', "a\\b", "a\nb", 'x.a"b'):
        quoted = plan(category_field=[name])
        assert one({"t": 1, "v": 1, name: "h"}, quoted)[1] == "h"


def test_paths_of_many_parts_are_found_without_a_struct_for_each_way() -> None:
    path = ".".join("abcdefghijklmnopqrst")
    deep = plan(feature("f", "sum", path), category_field=...)
    nested: Any = 5
    for part in reversed(path.split(".")):
        nested = {part: nested}
    for document in (nested, {path: 5}, {"a.b": nested["a"]["b"]}):
        assert one({"t": 1, **document}, deep)[2] == [5.0]
