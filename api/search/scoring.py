"""Scores: every clause that matches counts its boost, whatever the words weigh; filters count nothing.

These are not OpenSearch's BM25 scores: they rank by how many of the wanted clauses match.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.search.binding import bind
from api.search.index import Hit
from api.search.mappings import Types
from api.search.matching import compile_condition
from api.search.sorting import BoundKey, sort_value
from schemas.query.tree import Bool, ConstantScore, DisMax, MultiField, Nested, Query, Written

Score = Callable[[Any, str], float]


def constant_score(query: Query) -> float | None:
    """The score that every match has, None when matches differ.

    >>> from schemas.query import parse_query
    >>> constant_score(parse_query({"bool": {"filter": [{"term": {"a": 1}}]}}))
    0.0
    """
    if isinstance(query, Bool):
        if not query.children():
            return query.boost
        if query.should:
            return None if len(query.should) > 1 or query.must or query.filter else _scaled(query, query.should)
        if query.must:
            return _scaled(query, query.must)
        return 0.0
    if isinstance(query, Written):
        inner = constant_score(query.meaning)
        return None if inner is None else inner * query.boost
    if isinstance(query, Nested):
        inner = constant_score(query.query)
        return None if inner is None else (0.0 if query.score_mode == "none" else inner * query.boost)
    if isinstance(query, DisMax):
        return None
    if isinstance(query, MultiField):
        return query.boost * query.leaf.boost
    return query.boost


def _scaled(query: Query, clauses: tuple[Query, ...]) -> float | None:
    scores = [constant_score(clause) for clause in clauses]
    return None if None in scores else query.boost * sum(score for score in scores if score is not None)


def scorer(query: Query, types: Types, now: int, scope: str = "") -> Score:
    """A function that gives the score of a document that matches."""
    constant = constant_score(query)
    if constant is not None:
        return lambda document, id: constant
    if isinstance(query, Written):
        inner = scorer(query.meaning, types, now, scope)
        return lambda document, id: query.boost * inner(document, id)
    if isinstance(query, Bool):
        parts = [_tested(clause, types, now, scope) for clause in (*query.must, *query.should)]
        return lambda document, id: query.boost * sum(part(document, id) for part in parts)
    if isinstance(query, DisMax):
        options = [_tested(clause, types, now, scope) for clause in query.queries]

        def best(document: Any, id: str) -> float:
            scores = [option(document, id) for option in options]
            return query.boost * (max(scores) + query.tie_breaker * (sum(scores) - max(scores)))

        return best
    if isinstance(query, ConstantScore | Nested):
        return lambda document, id: query.boost
    return lambda document, id: query.boost


def _tested(query: Query, types: Types, now: int, scope: str) -> Score:
    test, score = compile_condition(bind(query, types, now, scope)), scorer(query, types, now, scope)
    return lambda document, id: score(document, id) if test(document, id) else 0.0


def hit_value(key: BoundKey, query: Query, types: Types, now: int) -> Callable[[Hit], Any]:
    """A function that gives the sort value of a hit, also for what is no field of its source."""
    if key.key.field == "_id":
        return lambda hit: hit.id
    if key.key.field in ("_seq_no", "_doc"):
        return lambda hit: hit.seq_no
    read = scorer(query, types, now) if key.key.field == "_score" else sort_value(key, types, now)
    return lambda hit: read(hit.source, hit.id)
