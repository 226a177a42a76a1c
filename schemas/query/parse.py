"""From the JSON of a query to its parse tree.

Everything unknown is refused with OpenSearch's type and wording; nothing is ignored silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from schemas.errors import Refused
from schemas.query.errors import DEFAULT_LIMITS, Limits, TooComplex, malformed, suggestion, wrong_value
from schemas.query.field_clauses import FIELD_CLAUSES, read_operator, read_text, read_zero_terms
from schemas.query.query_string import QueryString
from schemas.query.read import Reader, text_of, token
from schemas.query.tree import (
    Bool,
    ConstantScore,
    Exists,
    Ids,
    Leaf,
    Match,
    MatchAll,
    MatchNone,
    MatchPhrase,
    MultiField,
    Nested,
    Query,
    Terms,
    Written,
)

_UNSUPPORTED = """
    boosting combined_fields common dis_max distance_feature function_score fuzzy geo_bounding_box geo_distance
    geo_polygon geo_shape has_child has_parent hybrid intervals knn match_bool_prefix more_like_this neural parent_id
    percolate rank_feature regexp script script_score simple_query_string span_containing span_first span_multi
    span_near span_not span_or span_term span_within template terms_set wrapper
"""
UNSUPPORTED = frozenset(_UNSUPPORTED.split())
"""Clauses of OpenSearch that are refused by name, so that nobody takes them for a typing mistake."""


def parse_query(body: Any, limits: Limits = DEFAULT_LIMITS) -> Query:
    """The parse tree of a query (what stands under ``query`` or ``filter_query``).

    Raises ``Refused`` (400) with OpenSearch's error type and reason when the body is malformed, asks for an
    unknown or unsupported clause, or exceeds ``limits``.

    >>> parse_query({"term": {"host": "a"}})
    Term(boost=1.0, name=None, field='host', value='a', case_insensitive=False)
    """
    return _Parser(limits).clause(body, 1)


def known_clauses() -> frozenset[str]:
    """The names of all clauses that can be read."""
    return frozenset({*FIELD_CLAUSES, *_CLAUSES})


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
            raise TooComplex(
                "The nested depth of the query exceeds the maximum nested depth for queries set in "
                f"[indices.query.bool.max_nested_depth]: [{self._limits.depth}]"
            )
        self._clauses += 1
        if self._clauses > self._limits.clauses:
            raise TooComplex(f"maxClauseCount is set to {self._limits.clauses}")
        name, inner = next(iter(body.items()))
        if not isinstance(inner, Mapping):
            raise malformed(f"[{name}] query malformed, no start_object after query name")
        query = self._named(name, inner, depth)
        if len(body) > 1:
            raise malformed(f"[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
        return query

    def _named(self, name: str, inner: Mapping[str, Any], depth: int) -> Query:
        if name in FIELD_CLAUSES:
            return FIELD_CLAUSES[name].parse(name, inner, self._limits)
        if name in _CLAUSES:
            read, manual = _CLAUSES[name]
            reader = Reader(name, inner, self._limits, manual=manual)
            query = read(self, reader, depth)
            reader.finish()
            return query
        if name in UNSUPPORTED:
            raise malformed(f"[{name}] query is not supported")
        raise malformed(f"unknown query [{name}]{suggestion(name, sorted(known_clauses()))}")

    def match_all(self, reader: Reader, depth: int) -> Query:
        return MatchAll(**reader.standard())

    def match_none(self, reader: Reader, depth: int) -> Query:
        return MatchNone(**reader.standard())

    def bool(self, reader: Reader, depth: int) -> Query:
        return Bool(
            must=self._several(reader, reader.take("must"), "must", depth),
            filter=self._several(reader, reader.take("filter"), "filter", depth),
            must_not=self._several(reader, reader.take("must_not", "mustNot"), "must_not", depth),
            should=self._several(reader, reader.take("should"), "should", depth),
            adjust_pure_negative=reader.flag("adjust_pure_negative", True),
            minimum_should_match=reader.minimum_should_match(),
            **reader.standard(),
        )

    def _several(self, reader: Reader, value: Any, member: str, depth: int) -> tuple[Query, ...]:
        if isinstance(value, Mapping):
            return (self._clause_of(member, value, depth),)
        if value is None or isinstance(value, list):
            return tuple(self._clause_of(member, one, depth) for one in value or ())
        raise reader.unsuitable(member, value)

    def _clause_of(self, member: str, body: Any, depth: int) -> Query:
        """A clause of ``bool``, whose parser names the member that it can't read, with the reason as its cause."""
        try:
            return self.clause(body, depth + 1)
        except TooComplex:
            raise
        except Refused as refused:
            raise Refused(400, f"[bool] failed to parse field [{member}]", "x_content_parse_exception") from refused

    def constant_score(self, reader: Reader, depth: int) -> Query:
        body = reader.take("filter")
        if isinstance(body, list):
            raise malformed("unexpected token [START_ARRAY]")
        if body is None:
            reader.lack(malformed("[constant_score] requires a 'filter' element"))
        inner = MatchAll() if body is None else self.clause(body, depth + 1)
        return ConstantScore(filter=inner, **reader.standard())

    def nested(self, reader: Reader, depth: int) -> Query:
        path, body = reader.take("path"), reader.take("query")
        for name, value in (("path", path), ("query", body)):
            if value is None:
                reader.lack(wrong_value(f"[nested] requires '{name}' field"))
        score_mode = reader.text("score_mode", "avg")
        if score_mode not in ("avg", "max", "min", "sum", "none"):
            raise wrong_value(f"No score mode for child query [{score_mode}] found")
        return Nested(
            path=str(path),
            query=MatchAll() if body is None else self.clause(body, depth + 1),
            score_mode=score_mode,
            ignore_unmapped=reader.flag("ignore_unmapped", False),
            **reader.standard(),
        )

    def terms(self, reader: Reader, depth: int) -> Query:
        standard = reader.standard()
        field: str | None = None
        values: list[Any] = []
        for name, value in reader.rest().items():
            if isinstance(value, Mapping):
                raise malformed("[terms] query does not support looking up terms in another document")
            if isinstance(value, list):
                if field is not None:
                    raise malformed("[terms] query does not support multiple fields")
                field, values = name, reader.take(name)
        reader.finish()
        if field is None:
            raise malformed(
                "[terms] query requires a field name, followed by array of terms or a document lookup specification"
            )
        if any(value is None for value in values):
            raise malformed("No value specified for terms query")
        if len(values) > self._limits.terms:
            raise wrong_value(
                f"The number of terms [{len(values)}] used in the Terms Query request has exceeded the allowed maximum "
                f"of [{self._limits.terms}]. This maximum can be set by changing the [index.max_terms_count] index "
                "level setting."
            )
        return Terms(field=field, values=tuple(reader.scalar("values", value) for value in values), **standard)

    def exists(self, reader: Reader, depth: int) -> Query:
        field = reader.take("field")
        if isinstance(field, Mapping | list):
            raise malformed(f"[exists] unknown token [{token(field)}] after [field]")
        if field is None:
            reader.lack(malformed("[exists] must be provided with a [field]"))
            field = ""
        elif field == "":
            raise wrong_value("field name is null or empty")
        return Exists(field=text_of(field), **reader.standard())

    def ids(self, reader: Reader, depth: int) -> Query:
        values = reader.take("values")
        if values is None:
            reader.lack(wrong_value("[ids] requires providing a values array of ids"))
            values = []
        values = values if isinstance(values, list) else [values]
        return Ids(values=tuple(text_of(reader.scalar("values", value)) for value in values), **reader.standard())

    def multi_match(self, reader: Reader, depth: int) -> Query:
        settings, standard = _settings(reader), reader.standard()
        fields = _fields(reader)
        text, kind, lenient = read_text(reader), reader.text("type", "best_fields"), reader.flag("lenient", False)
        operator, minimum = read_operator(reader), reader.minimum_should_match()
        zero_terms = read_zero_terms(reader)
        reader.accept(fuzziness=(0, "0"), slop=(0, "0"), analyzer=("standard",), prefix_length=(), max_expansions=())
        reader.accept(fuzzy_transpositions=(), auto_generate_synonyms_phrase_query=(), fuzzy_rewrite=())
        reader.accept(tie_breaker=())
        lenient = lenient or fields is None
        leaf: Leaf
        if kind in ("best_fields", "most_fields"):
            leaf = Match(
                field="",
                text=text,
                operator=operator,
                minimum_should_match=minimum,
                zero_terms=zero_terms,
                lenient=lenient,
            )
        elif kind in ("phrase", "phrase_prefix"):
            leaf = MatchPhrase(field="", text=text, prefix=kind == "phrase_prefix", lenient=lenient)
        else:
            raise malformed(f"[multi_match] query does not support type [{kind}]")
        return Written(kind="multi_match", meaning=_over(leaf, fields), settings=settings, **standard)

    def query_string(self, reader: Reader, depth: int) -> Query:
        settings, standard = _settings(reader), reader.standard()
        query = reader.take("query")
        if query is None:
            reader.lack(malformed("query_string must be provided with a [query]"))
        text = "" if query is None else text_of(reader.scalar("query", query))
        fields, default_field = _fields(reader), reader.take("default_field")
        if default_field is not None:
            if fields is not None:
                raise wrong_value("cannot use [fields] and [default_field] parameter together in [query_string]")
            fields = None if default_field == "*" else ((text_of(reader.scalar("default_field", default_field)), 1.0),)
        zone = reader.take("time_zone")
        meaning = QueryString(
            text=_escaped(text) if reader.flag("escape", False) else text,
            make=lambda leaf: _over(leaf, fields),
            operator=read_operator(reader, "default_operator"),
            lenient=reader.flag("lenient", fields is None),
            minimum_should_match=reader.minimum_should_match(),
            leading_wildcard=reader.flag("allow_leading_wildcard", True),
            zone=None if zone is None else text_of(reader.scalar("time_zone", zone)),
            limits=self._limits,
        ).parse()
        reader.accept(analyzer=("standard",), quote_analyzer=("standard",), type=("best_fields",), fuzziness=())
        reader.accept(analyze_wildcard=(), fuzzy_prefix_length=(), fuzzy_max_expansions=(), fuzzy_transpositions=())
        reader.accept(phrase_slop=(0, "0"), max_determinized_states=(), enable_position_increments=(), rewrite=())
        reader.accept(auto_generate_synonyms_phrase_query=(), tie_breaker=(), fuzzy_rewrite=())
        return Written(kind="query_string", meaning=meaning, settings=settings, **standard)


def _settings(reader: Reader) -> dict[str, Any]:
    return {name: value for name, value in reader.rest().items() if name not in ("boost", "_name")}


def _fields(reader: Reader) -> tuple[tuple[str, float], ...] | None:
    value = reader.take("fields")
    if value is None:
        return None
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or any(not isinstance(one, str) for one in value):
        raise malformed(f"[{reader.clause}] query does not support [fields] of type {token(value)}")
    found = []
    for one in value:
        field, caret, boost = one.partition("^")
        try:
            found.append((field, float(boost) if caret else 1.0))
        except ValueError:
            raise wrong_value(f'For input string: "{boost}"') from None
    return tuple(found)


def _over(leaf: Leaf, fields: tuple[tuple[str, float], ...] | None) -> Query:
    """The leaf on each of the fields; on all fields when there are none."""
    if fields is not None and len(fields) == 1 and "*" not in fields[0][0]:
        return replace(leaf, field=fields[0][0], boost=fields[0][1])
    return MultiField(boosts=(("*", 1.0),) if fields is None else fields, leaf=leaf)


def _escaped(text: str) -> str:
    return "".join("\\" + one if one in '+-!(){}[]^"~*?:\\/|&<>=' else one for one in text)


_CLAUSES: dict[str, tuple[Callable[[_Parser, Reader, int], Query], bool]] = {
    "bool": (_Parser.bool, False),
    "constant_score": (_Parser.constant_score, True),
    "exists": (_Parser.exists, True),
    "ids": (_Parser.ids, False),
    "match_all": (_Parser.match_all, False),
    "match_none": (_Parser.match_none, True),
    "multi_match": (_Parser.multi_match, True),
    "nested": (_Parser.nested, True),
    "query_string": (_Parser.query_string, True),
    "terms": (_Parser.terms, True),
}
"""How each is read, and whether an unknown member is refused in the words of OpenSearch's older clauses."""
