"""From the JSON of a query to its parse tree.

Everything unknown is refused with OpenSearch's type and wording; nothing is ignored silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.query.errors import DEFAULT_LIMITS, Limits, malformed, suggestion, wrong_value
from schemas.query.parse_leaf import LEAVES
from schemas.query.parse_text import TEXTS
from schemas.query.read import Reader, token
from schemas.query.tree import Bool, ConstantScore, DisMax, MatchAll, MatchNone, Nested, Query

UNSUPPORTED = frozenset(
    [
        "boosting",
        "combined_fields",
        "common",
        "distance_feature",
        "function_score",
        "fuzzy",
        "geo_bounding_box",
        "geo_distance",
        "geo_polygon",
        "geo_shape",
        "has_child",
        "has_parent",
        "hybrid",
        "intervals",
        "knn",
        "match_bool_prefix",
        "more_like_this",
        "neural",
        "parent_id",
        "percolate",
        "rank_feature",
        "script",
        "script_score",
        "span_containing",
        "span_first",
        "span_multi",
        "span_near",
        "span_not",
        "span_or",
        "span_term",
        "span_within",
        "template",
        "terms_set",
        "wrapper",
    ]
)
"""Clauses of OpenSearch that are refused by name, so that nobody takes them for a typing mistake."""


def parse_query(body: Any, limits: Limits = DEFAULT_LIMITS) -> Query:
    """The parse tree of a query (what stands under ``query`` or ``filter_query``).

    Raises ``Refused`` (400) with OpenSearch's error type and reason when the body is malformed, asks for an
    unknown or unsupported clause, or exceeds ``limits``.

    >>> parse_query({"term": {"host": "a"}})
    Term(boost=1.0, name=None, field='host', value='a', case_insensitive=False)
    """
    return _Parser(limits).clause(body, 1)


class _Parser:
    """One walk over one body: carries the limits and counts clauses."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clauses = 0

    def clause(self, body: Any, depth: int) -> Query:
        if not isinstance(body, Mapping):
            raise malformed("[_na] query malformed, must start with start_object")
        if not body:
            raise wrong_value("query malformed, empty clause found")
        if depth > self._limits.depth:
            raise wrong_value(
                "The nested depth of the query exceeds the maximum nested depth for queries set in "
                f"[indices.query.bool.max_nested_depth]: [{self._limits.depth}]"
            )
        self._clauses += 1
        if self._clauses > self._limits.clauses:
            raise wrong_value(f"maxClauseCount is set to {self._limits.clauses}")
        name, inner = next(iter(body.items()))
        if not isinstance(inner, Mapping):
            raise malformed(f"[{name}] query malformed, no start_object after query name")
        query = self._named(name, inner, depth)
        if len(body) > 1:
            raise malformed(f"[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
        return query

    def _named(self, name: str, inner: Mapping[str, Any], depth: int) -> Query:
        if name in LEAVES:
            return LEAVES[name](inner, self._limits)
        if name in TEXTS:
            return TEXTS[name](inner, self._limits)
        if name in _COMPOUNDS:
            return _COMPOUNDS[name](self, inner, depth)
        if name in UNSUPPORTED:
            raise malformed(f"[{name}] query is not supported")
        raise malformed(f"unknown query [{name}]{suggestion(name, sorted(known_clauses()))}")

    def _all(self, clause: str, inner: Mapping[str, Any], kind: type[MatchAll] | type[MatchNone]) -> Query:
        reader = Reader(clause, inner)
        query = kind(**reader.standard())
        reader.finish()
        return query

    def match_all(self, inner: Mapping[str, Any], depth: int) -> Query:
        return self._all("match_all", inner, MatchAll)

    def match_none(self, inner: Mapping[str, Any], depth: int) -> Query:
        return self._all("match_none", inner, MatchNone)

    def bool(self, inner: Mapping[str, Any], depth: int) -> Query:
        reader = Reader("bool", inner)
        query = Bool(
            must=self._clauses_of(reader.take("must"), "must", depth),
            filter=self._clauses_of(reader.take("filter"), "filter", depth),
            must_not=self._clauses_of(reader.take("must_not", "mustNot"), "must_not", depth),
            should=self._clauses_of(reader.take("should"), "should", depth),
            adjust_pure_negative=reader.flag("adjust_pure_negative", True),
            minimum_should_match=reader.minimum_should_match(),
            **reader.standard(),
        )
        reader.finish()
        return query

    def _clauses_of(self, value: Any, member: str, depth: int) -> tuple[Query, ...]:
        if value is None:
            return ()
        if isinstance(value, Mapping):
            return (self.clause(value, depth + 1),)
        if isinstance(value, list):
            return tuple(self.clause(one, depth + 1) for one in value)
        raise unknown_value("bool", member, value)

    def dis_max(self, inner: Mapping[str, Any], depth: int) -> Query:
        reader = Reader("dis_max", inner)
        queries = self._clauses_of(reader.take("queries"), "queries", depth)
        if not queries:
            raise malformed("[dis_max] requires 'queries' field with at least one clause")
        query = DisMax(queries=queries, tie_breaker=reader.number("tie_breaker", 0.0), **reader.standard())
        reader.finish()
        return query

    def constant_score(self, inner: Mapping[str, Any], depth: int) -> Query:
        reader = Reader("constant_score", inner)
        body = reader.take("filter")
        if body is None:
            raise malformed("[constant_score] requires a 'filter' element")
        if isinstance(body, list):
            raise malformed("unexpected token [START_ARRAY]")
        query = ConstantScore(filter=self.clause(body, depth + 1), **reader.standard())
        reader.finish()
        return query

    def nested(self, inner: Mapping[str, Any], depth: int) -> Query:
        reader = Reader("nested", inner)
        path = reader.take("path")
        if path is None:
            raise wrong_value("[nested] requires 'path' field")
        body = reader.take("query")
        if body is None:
            raise wrong_value("[nested] requires 'query' field")
        score_mode = reader.text("score_mode", "avg")
        if score_mode not in ("avg", "max", "min", "sum", "none"):
            raise wrong_value(f"No score mode for child query [{score_mode}] found")
        query = Nested(
            path=str(path),
            query=self.clause(body, depth + 1),
            score_mode=score_mode,
            ignore_unmapped=reader.flag("ignore_unmapped", False),
            **reader.standard(),
        )
        reader.finish()
        return query


def unknown_value(clause: str, member: str, value: Any) -> Exception:
    """A member with a value of a type that it can't have."""
    return malformed(f"[{clause}] {member} doesn't support values of type: {token(value)}")


_COMPOUNDS: dict[str, Callable[[_Parser, Mapping[str, Any], int], Query]] = {
    "bool": _Parser.bool,
    "constant_score": _Parser.constant_score,
    "dis_max": _Parser.dis_max,
    "match_all": _Parser.match_all,
    "match_none": _Parser.match_none,
    "nested": _Parser.nested,
}


def known_clauses() -> frozenset[str]:
    """The names of all clauses that can be read."""
    return frozenset({*LEAVES, *TEXTS, *_COMPOUNDS})
