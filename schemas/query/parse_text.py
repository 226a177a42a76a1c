"""Clauses on words: match, match_phrase, match_phrase_prefix, multi_match, query_string, simple_query_string."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from schemas.query.errors import Limits, malformed, wrong_value
from schemas.query.parse_leaf import field_and_members
from schemas.query.query_string import parse_query_string, parse_simple_query_string
from schemas.query.read import Reader, Scalar, text_of, token
from schemas.query.tree import DisMax, Leaf, Match, MatchPhrase, MultiField, Operator, Query, Written


def _text(reader: Reader) -> Scalar:
    value = reader.take("query", "value")
    if value is None:
        raise wrong_value("No text specified for text query")
    return reader.scalar("query", value)


def _operator(reader: Reader, name: str, default: Operator) -> Operator:
    value = reader.text(name, default).upper()
    if value not in ("OR", "AND"):
        raise wrong_value(f"operator needs to be either [or] or [and], but not [{value.lower()}]")
    return "AND" if value == "AND" else "OR"


def _zero_terms(reader: Reader) -> bool:
    value = reader.text("zero_terms_query", "NONE").upper()
    if value not in ("NONE", "ALL"):
        raise malformed(f"Unsupported zero_terms_query value [{value.lower()}]")
    return value == "ALL"


def _accept(reader: Reader, **allowed: tuple[Any, ...]) -> None:
    """Members that are read for compatibility; a value that would change what matches is refused."""
    for name, values in allowed.items():
        value = reader.take(name)
        if value is not None and values and value not in values:
            raise malformed(f"[{reader.clause}] query does not support [{name}] other than {list(values)}")


def _match(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, members = field_and_members("match", inner, "query")
    reader = Reader("match", members, manual=True)
    text = _text(reader)
    _accept(
        reader,
        fuzziness=(0, "0"),
        prefix_length=(),
        max_expansions=(),
        fuzzy_transpositions=(),
        fuzzy_rewrite=(),
        auto_generate_synonyms_phrase_query=(),
        analyzer=("standard",),
        cutoff_frequency=(),
    )
    query = Match(
        field=field,
        text=text,
        operator=_operator(reader, "operator", "OR"),
        minimum_should_match=reader.minimum_should_match(),
        zero_terms="ALL" if _zero_terms(reader) else "NONE",
        lenient=reader.flag("lenient", False),
        **reader.standard(),
    )
    reader.finish()
    return query


def _phrase(clause: str, prefix: bool) -> Callable[[Mapping[str, Any], Limits], Query]:
    def parse(inner: Mapping[str, Any], limits: Limits) -> Query:
        field, members = field_and_members(clause, inner, "query")
        reader = Reader(clause, members, manual=True)
        text = _text(reader)
        _accept(reader, slop=(0, "0"), analyzer=("standard",), max_expansions=())
        _zero_terms(reader)
        query = MatchPhrase(field=field, text=text, prefix=prefix, **reader.standard())
        reader.finish()
        return query

    return parse


def _fields(reader: Reader, limits: Limits) -> list[tuple[str, float]] | None:
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
    return found


def _multi_match(inner: Mapping[str, Any], limits: Limits) -> Query:
    reader = Reader("multi_match", inner, manual=True)
    settings = _settings(inner)
    fields = _fields(reader, limits)
    text = _text(reader)
    kind = reader.text("type", "best_fields")
    _accept(reader, fuzziness=(0, "0"), slop=(0, "0"), analyzer=("standard",), prefix_length=(), max_expansions=())
    _accept(reader, fuzzy_transpositions=(), auto_generate_synonyms_phrase_query=(), fuzzy_rewrite=(), tie_breaker=())
    operator = _operator(reader, "operator", "OR")
    minimum, lenient = reader.minimum_should_match(), reader.flag("lenient", False)
    zero_terms = _zero_terms(reader)
    standard = reader.standard()
    reader.finish()
    leaf: Leaf
    if kind in ("best_fields", "most_fields"):
        leaf = Match(
            field="",
            text=text,
            operator=operator,
            minimum_should_match=minimum,
            zero_terms="ALL" if zero_terms else "NONE",
            lenient=lenient or fields is None,
        )
    elif kind in ("phrase", "phrase_prefix"):
        leaf = MatchPhrase(field="", text=text, prefix=kind == "phrase_prefix", lenient=lenient or fields is None)
    else:
        raise malformed(f"[multi_match] query does not support type [{kind}]")
    return Written(kind="multi_match", meaning=over_fields(leaf, fields), settings=settings, **standard)


def over_fields(leaf: Leaf, fields: list[tuple[str, float]] | None) -> Query:
    """The leaf on each of the fields; on all fields when there are none."""
    if fields is None:
        return MultiField(patterns=("*",), leaf=leaf)
    options: tuple[Query, ...] = tuple(
        MultiField(patterns=(field,), leaf=replace(leaf, boost=boost), boost=boost)
        if "*" in field
        else replace(leaf, field=field, boost=boost)
        for field, boost in fields
    )
    return options[0] if len(options) == 1 else DisMax(queries=options)


def _settings(inner: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inner.items() if name not in ("boost", "_name")}


def _query_string(inner: Mapping[str, Any], limits: Limits) -> Query:
    reader = Reader("query_string", inner, manual=True)
    settings = _settings(inner)
    query = reader.take("query")
    if query is None:
        raise malformed("query_string must be provided with a [query]")
    text = text_of(reader.scalar("query", query))
    fields = _fields(reader, limits)
    default_field = reader.take("default_field")
    if default_field is not None:
        if fields is not None:
            raise wrong_value("cannot use [fields] and [default_field] parameter together in [query_string]")
        fields = None if default_field == "*" else [(text_of(reader.scalar("default_field", default_field)), 1.0)]
    operator = _operator(reader, "default_operator", "OR")
    lenient = reader.flag("lenient", fields is None)
    minimum = reader.minimum_should_match()
    leading = reader.flag("allow_leading_wildcard", True)
    if reader.flag("escape", False):
        text = _escaped(text)
    _accept(reader, analyze_wildcard=(), analyzer=("standard",), quote_analyzer=("standard",), type=("best_fields",))
    _accept(reader, fuzziness=(), fuzzy_prefix_length=(), fuzzy_max_expansions=(), fuzzy_transpositions=())
    _accept(reader, phrase_slop=(0, "0"), max_determinized_states=(), enable_position_increments=(), rewrite=())
    _accept(reader, auto_generate_synonyms_phrase_query=(), tie_breaker=(), fuzzy_rewrite=())
    zone = reader.take("time_zone")
    standard = reader.standard()
    reader.finish()
    meaning = parse_query_string(
        text,
        make=lambda leaf: over_fields(leaf, fields),
        operator=operator,
        lenient=lenient,
        minimum_should_match=minimum,
        leading_wildcard=leading,
        zone=None if zone is None else text_of(reader.scalar("time_zone", zone)),
        limits=limits,
    )
    return Written(kind="query_string", meaning=meaning, settings=settings, **standard)


def _escaped(text: str) -> str:
    return "".join("\\" + one if one in '+-!(){}[]^"~*?:\\/|&<>=' else one for one in text)


def _simple_query_string(inner: Mapping[str, Any], limits: Limits) -> Query:
    reader = Reader("simple_query_string", inner, manual=True)
    settings = _settings(inner)
    query = reader.take("query")
    if query is None:
        raise malformed("[simple_query_string] query text missing")
    text = text_of(reader.scalar("query", query))
    fields = _fields(reader, limits)
    operator = _operator(reader, "default_operator", "OR")
    lenient = reader.flag("lenient", fields is None)
    minimum = reader.minimum_should_match()
    _accept(reader, flags=("ALL", -1), analyzer=("standard",), analyze_wildcard=())
    _accept(reader, fuzzy_prefix_length=(), fuzzy_max_expansions=(), fuzzy_transpositions=(), quote_field_suffix=("",))
    _accept(reader, auto_generate_synonyms_phrase_query=())
    standard = reader.standard()
    reader.finish()
    meaning = parse_simple_query_string(
        text,
        make=lambda leaf: over_fields(leaf, fields),
        operator=operator,
        lenient=lenient,
        minimum_should_match=minimum,
        limits=limits,
    )
    return Written(kind="simple_query_string", meaning=meaning, settings=settings, **standard)


TEXTS: dict[str, Callable[[Mapping[str, Any], Limits], Query]] = {
    "match": _match,
    "match_phrase": _phrase("match_phrase", False),
    "match_phrase_prefix": _phrase("match_phrase_prefix", True),
    "multi_match": _multi_match,
    "query_string": _query_string,
    "simple_query_string": _simple_query_string,
}
