"""Clauses on one field, each with the members that it has: read from JSON and written back by the same table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.query import dates
from schemas.query.errors import Limits, malformed, wrong_value
from schemas.query.read import Reader, Scalar, text_of
from schemas.query.tree import Leaf, Match, MatchPhrase, Operator, Prefix, Query, Range, Term, Wildcard


@dataclass(frozen=True)
class Member:
    """A member of a clause: an attribute of the tree. It is written when it is ``always`` or not the default."""

    attribute: str
    read: Callable[[Reader], Any]
    name: str = ""
    always: bool = False


@dataclass(frozen=True)
class FieldClause:
    """A clause ``{name: {field: {members}}}``; ``{field: value}`` gives the member ``short``."""

    leaf: type[Leaf]
    members: tuple[Member, ...]
    short: str | None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    accepted: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def parse(self, clause: str, inner: Mapping[str, Any], limits: Limits) -> Query:
        """The leaf. Raises ``Refused``."""
        name, members = field_and_members(clause, inner, self.short)
        reader = Reader(clause, members, limits, manual=True)
        read = {member.attribute: member.read(reader) for member in self.members}
        reader.accept(**self.accepted)
        leaf = self.leaf(field=name, **read, **self.fixed, **reader.standard())
        reader.finish()
        return leaf

    def document(self, leaf: Leaf) -> dict[str, Any]:
        """The members of a leaf."""
        blank = self.leaf.__dataclass_fields__
        values = ((member, getattr(leaf, member.attribute)) for member in self.members)
        return {
            member.name or member.attribute: value
            for member, value in values
            if member.always or value != blank[member.attribute].default
        }


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


def read_text(reader: Reader) -> Scalar:
    """The text of a match clause."""
    value = reader.take("query", "value")
    if value is None:
        missing = {
            "match": malformed("No text specified for text query"),
            "multi_match": malformed("No text specified for multi_match query"),
        }
        reader.lack(missing.get(reader.clause) or wrong_value(f"[{reader.clause}] requires query value"))
        return ""
    return reader.scalar("query", value)


def read_operator(reader: Reader, name: str = "operator") -> Operator:
    """``or`` (the default) or ``and``."""
    value = reader.text(name, "OR").upper()
    if value not in ("OR", "AND"):
        raise wrong_value(f"operator needs to be either [or] or [and], but not [{value.lower()}]")
    return "AND" if value == "AND" else "OR"


def read_zero_terms(reader: Reader) -> str:
    """What a text without words matches."""
    value = reader.text("zero_terms_query", "NONE").upper()
    if value not in ("NONE", "ALL"):
        raise malformed(f"Unsupported zero_terms_query value [{value.lower()}]")
    return value


def _pattern(*names: str) -> Callable[[Reader], str]:
    def read(reader: Reader) -> str:
        pattern, most = text_of(reader.value(*names)), reader.limits.pattern_length
        if len(pattern) > most:
            raise wrong_value(
                f"The length of regex [{len(pattern)}] used in the [{reader.clause}] query has exceeded the allowed "
                f"maximum of [{most}]. This maximum can be set by changing the [index.max_regex_length] index level "
                "setting."
            )
        return pattern

    return read


def _optional(name: str, check: Callable[[str], str] = str) -> Member:
    def read(reader: Reader) -> str | None:
        value = reader.take(name)
        return None if value is None else check(text_of(reader.scalar(name, value)))

    return Member(name, read)


def _relation(text: str) -> str:
    if text.lower() not in ("intersects", "contains", "within"):
        raise wrong_value(f"[range] query does not support relation [{text}]")
    return text


def _flag(name: str, default: bool, always: bool = False) -> Member:
    return Member(name, lambda reader: reader.flag(name, default), always=always)


def _bound(attribute: str, name: str) -> Member:
    def read(reader: Reader) -> Scalar | None:
        value = reader.take(name)
        return None if value is None else reader.scalar(name, value)

    return Member(attribute, read, name, always=True)


class _Range(FieldClause):
    def parse(self, clause: str, inner: Mapping[str, Any], limits: Limits) -> Query:
        name, members = field_and_members(clause, inner, self.short)
        bounds: dict[str, Any] = {}
        for member, value in members.items():
            # The last of gt, gte and from that was written counts, as in OpenSearch.
            side = {"g": "from", "l": "to"}.get(member[:1])
            if member in ("gt", "gte", "lt", "lte") and side is not None:
                bounds |= {side: value, "include_lower" if side == "from" else "include_upper": member.endswith("e")}
            else:
                bounds[member] = value
        return super().parse(clause, {name: bounds}, limits)


_FOLDED = _flag("case_insensitive", False)
_EXACT: dict[str, tuple[Any, ...]] = {"analyzer": ("standard",), "max_expansions": ()}
_PHRASE = (
    Member("text", read_text, "query", always=True),
    Member("zero_terms", read_zero_terms, "zero_terms_query"),
)

FIELD_CLAUSES: dict[str, FieldClause] = {
    "term": FieldClause(
        Term, (Member("value", lambda reader: reader.value("value", "term"), always=True), _FOLDED), "value"
    ),
    "prefix": FieldClause(
        Prefix, (Member("value", _pattern("value", "prefix"), always=True), _FOLDED), "value", accepted={"rewrite": ()}
    ),
    "wildcard": FieldClause(
        Wildcard,
        (Member("pattern", _pattern("value", "wildcard"), "wildcard", always=True), _FOLDED),
        "value",
        accepted={"rewrite": ()},
    ),
    "range": _Range(
        Range,
        (
            _bound("lower", "from"),
            _bound("upper", "to"),
            _flag("include_lower", True, always=True),
            _flag("include_upper", True, always=True),
            _optional("time_zone", dates.check_zone),
            _optional("format", dates.check_format),
            _optional("relation", _relation),
        ),
        None,
    ),
    "match": FieldClause(
        Match,
        (
            Member("text", read_text, "query", always=True),
            Member("operator", read_operator, always=True),
            Member("minimum_should_match", Reader.minimum_should_match),
            _flag("lenient", False, always=True),
            Member("zero_terms", read_zero_terms, "zero_terms_query", always=True),
        ),
        "query",
        accepted=_EXACT
        | {"fuzziness": (0, "0"), "prefix_length": (), "fuzzy_transpositions": (), "fuzzy_rewrite": ()}
        | {"auto_generate_synonyms_phrase_query": (), "cutoff_frequency": ()},
    ),
    "match_phrase": FieldClause(MatchPhrase, _PHRASE, "query", {"prefix": False}, _EXACT | {"slop": (0, "0")}),
    "match_phrase_prefix": FieldClause(MatchPhrase, _PHRASE, "query", {"prefix": True}, _EXACT | {"slop": (0, "0")}),
}
