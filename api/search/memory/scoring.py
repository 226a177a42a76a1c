"""Scores: every clause that matches counts its boost, whatever the words weigh; filters count nothing.

These are not OpenSearch's BM25 scores: they rank by how many of the wanted clauses match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from api.search.bind.sorting import BoundKey, sort_value
from api.search.deadline import Deadline
from api.search.memory.table import Hit
from schemas.query.bind import bind
from schemas.query.fields import Types
from schemas.query.memory import Documents, Rows, compile_condition
from schemas.query.tree import Bool, MultiField, Nested, Query, Written

Scores = Callable[[Rows], npt.NDArray[np.float64]]
Read = Callable[[Sequence[Hit]], Iterable[Any]]
Row = tuple[tuple[Any, ...], Hit]
"""A hit behind its sort values."""


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
    if isinstance(query, MultiField):
        boosts = {boost for _, boost in query.boosts}
        return query.boost * boosts.pop() if len(boosts) == 1 else None
    return query.boost


def _scaled(query: Query, clauses: tuple[Query, ...]) -> float | None:
    scores = [constant_score(clause) for clause in clauses]
    return None if None in scores else query.boost * sum(score for score in scores if score is not None)


def scorer(query: Query, types: Types, now: int, scope: str = "") -> Scores:
    """A function that gives the scores of documents that match."""
    constant = constant_score(query)
    if isinstance(query, Written) and constant is None:
        inner = scorer(query.meaning, types, now, scope)
        return lambda rows: query.boost * inner(rows)
    if isinstance(query, Bool) and constant is None:
        parts = [_tested(clause, types, now, scope) for clause in (*query.must, *query.should)]
        return lambda rows: query.boost * sum((part(rows) for part in parts), np.zeros(len(rows)))
    if isinstance(query, MultiField) and constant is None:
        options = [_tested(one, types, now, scope) for one in each_field(query)]
        return lambda rows: query.boost * np.maximum.reduce([option(rows) for option in options])
    score = query.boost if constant is None else constant
    return lambda rows: np.full(len(rows), score)


def each_field(query: MultiField) -> list[MultiField]:
    """The query on each of its fields alone."""
    return [replace(query, boosts=(one,), boost=1.0) for one in query.boosts]


def _tested(query: Query, types: Types, now: int, scope: str) -> Scores:
    test, score = compile_condition(bind(query, types, now, scope)), scorer(query, types, now, scope)
    return lambda rows: np.where(test(rows), score(rows), 0.0)


def rows_of(hits: Iterable[Hit]) -> Documents:
    """The documents of hits, to be tested together."""
    found = list(hits)
    return Documents([hit.source for hit in found], [hit.id for hit in found])


def hit_values(key: BoundKey, query: Query, types: Types, now: int) -> Read:
    """A function that gives the sort values of hits, also for what is no field of their sources."""
    if key.key.field == "_id":
        return lambda hits: [hit.id for hit in hits]
    if key.key.field in ("_seq_no", "_doc"):
        return lambda hits: [hit.seq_no for hit in hits]
    if key.key.field == "_score":
        scores = scorer(query, types, now)
        return lambda hits: scores(rows_of(hits)).tolist()
    read = sort_value(key, types, now)
    return lambda hits: [read(hit.source) for hit in hits]


def valued(hits: Iterable[Hit], reads: Sequence[Read], deadline: Deadline) -> list[Row]:
    """Hits, each with its values. Raises ``Refused`` (504) once ``deadline`` is over."""
    rows: list[Row] = []
    for some in deadline.parts(hits):
        columns = [read(some) for read in reads]
        rows += zip(zip(*columns, strict=True) if columns else repeat(()), some, strict=False)
    return rows
