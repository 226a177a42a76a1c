"""From a parse tree back to JSON, in the normalised form in which OpenSearch shows a query."""

from __future__ import annotations

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


def _members(query: Query) -> tuple[str, dict[str, Any]]:
    """The name of a clause and its members."""
    match query:
        case MatchAll():
            return "match_all", {}
        case MatchNone():
            return "match_none", {}
        case Terms():
            return "terms", {query.field: list(query.values)}
        case Exists():
            return "exists", {"field": query.field}
        case Ids():
            return "ids", {"values": list(query.values)}
        case ConstantScore():
            return "constant_score", {"filter": to_document(query.filter)}
        case Written():
            return query.kind, query.settings
        case Bool():
            parts = {"must": query.must, "filter": query.filter, "must_not": query.must_not, "should": query.should}
            members: dict[str, Any] = {name: list(map(to_document, part)) for name, part in parts.items() if part}
            members["adjust_pure_negative"] = query.adjust_pure_negative
            if query.minimum_should_match is not None:
                members["minimum_should_match"] = query.minimum_should_match
            return "bool", members
        case Nested():
            inner = {"query": to_document(query.query), "path": query.path}
            return "nested", {**inner, "ignore_unmapped": query.ignore_unmapped, "score_mode": query.score_mode}
    raise TypeError(f"{type(query).__name__} stands inside another clause only")
