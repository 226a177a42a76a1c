"""Whatever query meets whatever record, it matches or it does not, or it is refused when it is read."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.query import RECORDS, Documents, bind, compile_condition, parse_query, to_document
from tests.schemas.query.clauses import CLAUSES, NOW

NAMES = "a a.b b host time bool must value gt lte query fields * a* now 2026-11-24 1.5 true regexp [x]"
CLAUSE_NAMES = "term terms range exists prefix wildcard match match_phrase query_string"
names = st.sampled_from(NAMES.split())
NUMBERS = st.sampled_from([0, -1, 1.5, 1e308, 2**63, 10**30, float("inf"), float("nan")])
scalars = st.one_of(names, NUMBERS, st.none(), st.booleans(), st.text(max_size=6))
trees: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3))
)
records = st.dictionaries(names, trees, max_size=4)
LEAVES = st.sampled_from(CLAUSE_NAMES.split())
queries = st.one_of(
    st.sampled_from([body for body, _ in CLAUSES]),
    st.tuples(LEAVES, names, trees).map(lambda parts: {parts[0]: {parts[1]: parts[2]}}),
    st.tuples(LEAVES, trees).map(lambda parts: {parts[0]: parts[1]}),
    trees,
)


@given(queries, st.lists(records, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_query_that_can_be_read_can_be_asked(body: Any, documents: list[dict[str, Any]]) -> None:
    refusal = None
    try:
        query = parse_query(body)
        test = compile_condition(bind(query, RECORDS, NOW))
    except Refused as refused:
        refusal = refused
    if refusal is not None:
        assert refusal.status == 400
        assert refusal.reason
        return
    assert test(Documents(documents)).tolist() == [bool(test(Documents([one]))[0]) for one in documents]
    assert parse_query(to_document(query)) == query
