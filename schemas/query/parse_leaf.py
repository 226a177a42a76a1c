"""Clauses on one field whose value is taken as it stands: term, terms, range, exists, ids, prefix, wildcard, regexp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.query import dates
from schemas.query.errors import Limits, malformed, wrong_value
from schemas.query.pattern import compile_regexp
from schemas.query.read import Reader, Scalar, text_of, token
from schemas.query.tree import Exists, Ids, Prefix, Query, Range, Regexp, Term, Terms, Wildcard


def field_and_members(clause: str, inner: Mapping[str, Any], short: str | None) -> tuple[str, dict[str, Any]]:
    """The field of a clause and its members; the short form ``{field: value}`` gives the member ``short``."""
    if not inner:
        raise wrong_value("field name is null or empty")
    outer = {name: value for name, value in inner.items() if name in ("boost", "_name")}
    named = [name for name in inner if name not in outer or isinstance(inner[name], Mapping)]
    if len(named) > 1:
        raise malformed(f"[{clause}] query doesn't support multiple fields, found [{named[0]}] and [{named[1]}]")
    if not named:
        # {"term": {"boost": 1}}: a field may well have that name
        named = [next(iter(outer))]
    field = named[0]
    outer.pop(field, None)
    if outer:
        raise malformed(f"[{clause}] query doesn't support multiple fields, found [{field}] and [{next(iter(outer))}]")
    if not field:
        raise wrong_value("field name is null or empty")
    value = inner[field]
    if isinstance(value, Mapping):
        return field, dict(value)
    if isinstance(value, list):
        raise malformed(f"[{clause}] query does not support array of values")
    if short is None:
        raise malformed(f"[{clause}] query does not support [{field}]")
    if value is None:
        raise wrong_value("value cannot be null")
    return field, {short: value}


def _value(reader: Reader, *names: str) -> Scalar:
    value = reader.take(*names)
    if value is None:
        raise wrong_value("value cannot be null")
    return reader.scalar(names[0], value)


def _term(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, members = field_and_members("term", inner, "value")
    reader = Reader("term", members, manual=True)
    value = _value(reader, "value", "term")
    folded = reader.flag("case_insensitive", False)
    query = Term(field=field, value=value, case_insensitive=folded, **reader.standard())
    reader.finish()
    return query


def _terms(inner: Mapping[str, Any], limits: Limits) -> Query:
    field: str | None = None
    values: list[Any] = []
    rest: dict[str, Any] = {}
    for name, value in inner.items():
        if isinstance(value, list):
            if field is not None:
                raise malformed("[terms] query does not support multiple fields")
            field, values = name, value
        elif isinstance(value, Mapping):
            raise malformed("[terms] query does not support looking up terms in another document")
        else:
            rest[name] = value
    reader = Reader("terms", rest, manual=True)
    standard = reader.standard()
    reader.finish()
    if field is None:
        raise malformed(
            "[terms] query requires a field name, followed by array of terms or a document lookup specification"
        )
    if any(value is None for value in values):
        raise malformed("No value specified for terms query")
    if len(values) > limits.terms:
        raise wrong_value(
            f"The number of terms [{len(values)}] used in the Terms Query request has exceeded the allowed maximum "
            f"of [{limits.terms}]. This maximum can be set by changing the [index.max_terms_count] index level setting."
        )
    return Terms(field=field, values=tuple(reader.scalar("values", value) for value in values), **standard)


def _range(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, members = field_and_members("range", inner, None)
    reader = Reader("range", members, manual=True)
    lower, upper = reader.take("from"), reader.take("to")
    include_lower, include_upper = reader.flag("include_lower", True), reader.flag("include_upper", True)
    for name, value in members.items():
        # The last of gt, gte, from that was written counts, as in the anchor.
        if name in ("gt", "gte"):
            lower, include_lower = reader.take(name), name == "gte"
        elif name in ("lt", "lte"):
            upper, include_upper = reader.take(name), name == "lte"
        elif name == "from":
            lower = value
        elif name == "to":
            upper = value
    form, zone, relation = reader.take("format"), reader.take("time_zone"), reader.take("relation")
    query = Range(
        field=field,
        lower=None if lower is None else reader.scalar("from", lower),
        upper=None if upper is None else reader.scalar("to", upper),
        include_lower=include_lower,
        include_upper=include_upper,
        format=None if form is None else dates.check_format(text_of(reader.scalar("format", form))),
        time_zone=None if zone is None else dates.check_zone(text_of(reader.scalar("time_zone", zone))),
        relation=None if relation is None else text_of(reader.scalar("relation", relation)),
        **reader.standard(),
    )
    reader.finish()
    if query.relation is not None and query.relation.lower() not in ("intersects", "contains", "within"):
        raise wrong_value(f"[range] query does not support relation [{query.relation}]")
    return query


def _exists(inner: Mapping[str, Any], limits: Limits) -> Query:
    reader = Reader("exists", inner, manual=True)
    field = reader.take("field")
    if isinstance(field, (Mapping, list)):
        raise malformed(f"[exists] unknown token [{token(field)}] after [field]")
    if field is None:
        raise malformed("[exists] must be provided with a [field]")
    query = Exists(field=text_of(field), **reader.standard())
    reader.finish()
    if not query.field:
        raise wrong_value("field name is null or empty")
    return query


def _ids(inner: Mapping[str, Any], limits: Limits) -> Query:
    reader = Reader("ids", inner)
    values = reader.take("values")
    if values is None:
        raise wrong_value("[ids] requires providing a values array of ids")
    values = values if isinstance(values, list) else [values]
    query = Ids(values=tuple(text_of(reader.scalar("values", value)) for value in values), **reader.standard())
    reader.finish()
    return query


def _pattern(clause: str, inner: Mapping[str, Any], limits: Limits, *names: str) -> tuple[str, str, bool, Reader]:
    field, members = field_and_members(clause, inner, "value")
    reader = Reader(clause, members, manual=True)
    pattern = text_of(_value(reader, "value", *names))
    if len(pattern) > limits.pattern_length:
        raise wrong_value(
            f"The length of regex [{len(pattern)}] used in the [{clause}] query has exceeded the allowed maximum of "
            f"[{limits.pattern_length}]. This maximum can be set by changing the [index.max_regex_length] "
            "index level setting."
        )
    reader.take("rewrite")  # how the anchor scores the terms it expands to: every term scores alike here
    return field, pattern, reader.flag("case_insensitive", False), reader


def _prefix(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, value, folded, reader = _pattern("prefix", inner, limits, "prefix")
    query = Prefix(field=field, value=value, case_insensitive=folded, **reader.standard())
    reader.finish()
    return query


def _wildcard(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, pattern, folded, reader = _pattern("wildcard", inner, limits, "wildcard")
    query = Wildcard(field=field, pattern=pattern, case_insensitive=folded, **reader.standard())
    reader.finish()
    return query


def _regexp(inner: Mapping[str, Any], limits: Limits) -> Query:
    field, pattern, folded, reader = _pattern("regexp", inner, limits)
    flags = reader.text("flags", "ALL").upper()
    reader.take("flags_value")
    reader.take("max_determinized_states")
    query = Regexp(field=field, pattern=pattern, flags=flags, case_insensitive=folded, **reader.standard())
    reader.finish()
    compile_regexp(pattern, folded)
    return query


LEAVES: dict[str, Callable[[Mapping[str, Any], Limits], Query]] = {
    "exists": _exists,
    "ids": _ids,
    "prefix": _prefix,
    "range": _range,
    "regexp": _regexp,
    "term": _term,
    "terms": _terms,
    "wildcard": _wildcard,
}
