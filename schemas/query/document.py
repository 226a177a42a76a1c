"""From a parse tree back to JSON, in the normalised form in which OpenSearch shows a query."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from schemas.query.tree import (
    Bool,
    ConstantScore,
    DisMax,
    Exists,
    Ids,
    Match,
    MatchAll,
    MatchNone,
    MatchPhrase,
    Nested,
    Prefix,
    Query,
    Range,
    Regexp,
    Term,
    Terms,
    Wildcard,
    Written,
)


def to_document(query: Query) -> dict[str, Any]:
    """The JSON of a query: ``parse_query`` reads it back to an equal tree.

    >>> from schemas.query import parse_query
    >>> to_document(parse_query({"range": {"value": {"gt": 1}}}))["range"]["value"]["include_lower"]
    False
    """
    return _document(query)


def _ends(query: Query) -> dict[str, Any]:
    return {"boost": query.boost, **({"_name": query.name} if query.name is not None else {})}


@singledispatch
def _document(query: Query) -> dict[str, Any]:
    raise TypeError(f"{type(query).__name__} stands inside another clause only")


@_document.register
def _(query: MatchAll) -> dict[str, Any]:
    return {"match_all": _ends(query)}


@_document.register
def _(query: MatchNone) -> dict[str, Any]:
    return {"match_none": _ends(query)}


@_document.register
def _(query: Term) -> dict[str, Any]:
    extra = {"case_insensitive": True} if query.case_insensitive else {}
    return {"term": {query.field: {"value": query.value, **extra, **_ends(query)}}}


@_document.register
def _(query: Terms) -> dict[str, Any]:
    return {"terms": {query.field: list(query.values), **_ends(query)}}


@_document.register
def _(query: Range) -> dict[str, Any]:
    members: dict[str, Any] = {
        "from": query.lower,
        "to": query.upper,
        "include_lower": query.include_lower,
        "include_upper": query.include_upper,
    }
    for name in ("time_zone", "format", "relation"):
        if getattr(query, name) is not None:
            members[name] = getattr(query, name)
    return {"range": {query.field: {**members, **_ends(query)}}}


@_document.register
def _(query: Exists) -> dict[str, Any]:
    return {"exists": {"field": query.field, **_ends(query)}}


@_document.register
def _(query: Ids) -> dict[str, Any]:
    return {"ids": {"values": list(query.values), **_ends(query)}}


@_document.register
def _(query: Prefix) -> dict[str, Any]:
    extra = {"case_insensitive": True} if query.case_insensitive else {}
    return {"prefix": {query.field: {"value": query.value, **extra, **_ends(query)}}}


@_document.register
def _(query: Wildcard) -> dict[str, Any]:
    extra = {"case_insensitive": True} if query.case_insensitive else {}
    return {"wildcard": {query.field: {"wildcard": query.pattern, **extra, **_ends(query)}}}


@_document.register
def _(query: Regexp) -> dict[str, Any]:
    extra = {"case_insensitive": True} if query.case_insensitive else {}
    return {"regexp": {query.field: {"value": query.pattern, "flags": query.flags, **extra, **_ends(query)}}}


@_document.register
def _(query: Match) -> dict[str, Any]:
    members: dict[str, Any] = {"query": query.text, "operator": query.operator}
    if query.minimum_should_match is not None:
        members["minimum_should_match"] = query.minimum_should_match
    members |= {"lenient": query.lenient, "zero_terms_query": query.zero_terms}
    return {"match": {query.field: {**members, **_ends(query)}}}


@_document.register
def _(query: MatchPhrase) -> dict[str, Any]:
    clause = "match_phrase_prefix" if query.prefix else "match_phrase"
    return {clause: {query.field: {"query": query.text, **_ends(query)}}}


@_document.register
def _(query: Bool) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: [_document(clause) for clause in clauses]
        for name, clauses in (
            ("must", query.must),
            ("filter", query.filter),
            ("must_not", query.must_not),
            ("should", query.should),
        )
        if clauses
    }
    members["adjust_pure_negative"] = query.adjust_pure_negative
    if query.minimum_should_match is not None:
        members["minimum_should_match"] = query.minimum_should_match
    return {"bool": {**members, **_ends(query)}}


@_document.register
def _(query: DisMax) -> dict[str, Any]:
    queries = [_document(clause) for clause in query.queries]
    return {"dis_max": {"tie_breaker": query.tie_breaker, "queries": queries, **_ends(query)}}


@_document.register
def _(query: ConstantScore) -> dict[str, Any]:
    return {"constant_score": {"filter": _document(query.filter), **_ends(query)}}


@_document.register
def _(query: Nested) -> dict[str, Any]:
    members = {
        "query": _document(query.query),
        "path": query.path,
        "ignore_unmapped": query.ignore_unmapped,
        "score_mode": query.score_mode,
    }
    return {"nested": {**members, **_ends(query)}}


@_document.register
def _(query: Written) -> dict[str, Any]:
    return {query.kind: {**query.settings, **_ends(query)}}
