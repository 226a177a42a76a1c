"""From a parse tree back to JSON, in the normalised form in which OpenSearch shows a query."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from schemas.query.field_clauses import FIELD_CLAUSES
from schemas.query.tree import (
    Bool,
    ConstantScore,
    Exists,
    Ids,
    Leaf,
    MatchAll,
    MatchNone,
    MatchPhrase,
    Nested,
    Query,
    Terms,
    Written,
)

_NAMES = {clause.leaf: name for name, clause in FIELD_CLAUSES.items()}


def to_document(query: Query) -> dict[str, Any]:
    """The JSON of a query: ``parse_query`` reads it back to an equal tree.

    >>> from schemas.query import parse_query
    >>> to_document(parse_query({"range": {"value": {"gt": 1}}}))["range"]["value"]["include_lower"]
    False
    """
    ends = {"boost": query.boost, **({"_name": query.name} if query.name is not None else {})}
    if type(query) in _NAMES and isinstance(query, Leaf):
        name = "match_phrase" if isinstance(query, MatchPhrase) and not query.prefix else _NAMES[type(query)]
        return {name: {query.field: {**FIELD_CLAUSES[name].document(query), **ends}}}
    name, members = _members(query)
    return {name: {**members, **ends}}


@singledispatch
def _members(query: Query) -> tuple[str, dict[str, Any]]:
    """The name of a clause and its members."""
    raise TypeError(f"{type(query).__name__} stands inside another clause only")


@_members.register
def _(query: MatchAll) -> tuple[str, dict[str, Any]]:
    return "match_all", {}


@_members.register
def _(query: MatchNone) -> tuple[str, dict[str, Any]]:
    return "match_none", {}


@_members.register
def _(query: Terms) -> tuple[str, dict[str, Any]]:
    return "terms", {query.field: list(query.values)}


@_members.register
def _(query: Exists) -> tuple[str, dict[str, Any]]:
    return "exists", {"field": query.field}


@_members.register
def _(query: Ids) -> tuple[str, dict[str, Any]]:
    return "ids", {"values": list(query.values)}


@_members.register
def _(query: ConstantScore) -> tuple[str, dict[str, Any]]:
    return "constant_score", {"filter": to_document(query.filter)}


@_members.register
def _(query: Written) -> tuple[str, dict[str, Any]]:
    return query.kind, query.settings


@_members.register
def _(query: Bool) -> tuple[str, dict[str, Any]]:
    members: dict[str, Any] = {
        name: list(map(to_document, clauses))
        for name in ("must", "filter", "must_not", "should")
        if (clauses := getattr(query, name))
    }
    members["adjust_pure_negative"] = query.adjust_pure_negative
    if query.minimum_should_match is not None:
        members["minimum_should_match"] = query.minimum_should_match
    return "bool", members


@_members.register
def _(query: Nested) -> tuple[str, dict[str, Any]]:
    return "nested", {
        "query": to_document(query.query),
        "path": query.path,
        "ignore_unmapped": query.ignore_unmapped,
        "score_mode": query.score_mode,
    }
