"""What a detector's filter finds among records is what a search finds among documents of the same types."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.query import RECORDS, Documents, bind, compile_condition, parse_query, to_document
from schemas.query.fields import Types

TYPES: Types = {
    "host": "keyword",
    "count": "long",
    "cpu": "double",
    "time": "date",
    "up": "boolean",
    "disks": "nested",
    "disks.host": "keyword",
    "disks.count": "long",
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "host": st.sampled_from(["a", "b", "ab", "", "A"]),
    "count": st.integers(-2, 3),
    "cpu": st.sampled_from([0, 0.5, 1.0, 2]),
    "time": st.sampled_from([0, 1_795_493_335_499, 1_795_493_335_500]),
    "up": st.booleans(),
}


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.lists(st.one_of(values, st.none()), max_size=2), st.none())


disk = st.fixed_dictionaries({}, optional={name: VALUES[name] for name in ("host", "count")})
records = st.fixed_dictionaries(
    {}, optional={**{name: some(values) for name, values in VALUES.items()}, "disks": st.lists(disk, max_size=2)}
)


def leaves(names: tuple[str, ...], path: str = "") -> st.SearchStrategy[dict[str, Any]]:
    def of(name: str) -> st.SearchStrategy[dict[str, Any]]:
        field, value = path + name, VALUES[name]
        kinds = [
            value.map(lambda one: {"term": {field: one}}),
            value.map(lambda one: {"term": {field: str(one).lower() if isinstance(one, bool) else one}}),
            st.lists(value, max_size=3).map(lambda several: {"terms": {field: several}}),
            st.just({"exists": {"field": field}}),
        ]
        if name != "up":
            bounds = st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), value)
            kinds.append(bounds.map(lambda bound: {"range": {field: {bound[0]: bound[1]}}}))
        if name == "host":
            kinds.append(value.map(lambda one: {"prefix": {field: one}}))
            kinds.append(st.sampled_from(["a*", "?", "*b", "*"]).map(lambda one: {"wildcard": {field: one}}))
        return st.one_of(kinds)

    return st.sampled_from(names).flatmap(of)


def joined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    clauses = st.lists(inner, max_size=3)
    settings_ = {
        "minimum_should_match": st.sampled_from([0, 1, 2, "-1", "50%", "3"]),
        "adjust_pure_negative": st.booleans(),
    }
    kinds = dict.fromkeys(("must", "filter", "should", "must_not"), clauses)
    return st.fixed_dictionaries({}, optional={**kinds, **settings_}).map(lambda members: {"bool": members})


queries = st.recursive(
    st.one_of(
        leaves(tuple(VALUES)),
        leaves(("host", "count"), "disks.").map(lambda leaf: {"nested": {"path": "disks", "query": leaf}}),
    ),
    joined,
    max_leaves=6,
)


@given(record=records, body=queries)
@settings(max_examples=200, deadline=None)
def test_a_filter_on_records_is_a_search_of_documents(record: dict[str, Any], body: dict[str, Any]) -> None:
    query = parse_query(body)
    found = [compile_condition(bind(query, types, 0))(Documents([record]))[0] for types in (RECORDS, TYPES)]
    assert found[0] == found[1]
    assert parse_query(to_document(query)) == query
