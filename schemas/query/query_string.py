"""The syntax of query_string; what is not supported of it is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from schemas.query.errors import Limits, malformed
from schemas.query.tree import (
    Bool,
    Exists,
    Leaf,
    Match,
    MatchAll,
    MatchNone,
    MatchPhrase,
    Operator,
    Query,
    Range,
    Wildcard,
)

Make = Callable[[Leaf], Query]
"""Puts a leaf without a field onto the fields that the clause searches."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<open>\() | (?P<close>\))
    | (?P<operator>AND\b|OR\b|NOT\b|&&|\|\||[!+-](?=\S))
    | (?P<field>(?:[^\s():"\\\[\]{}^~!+-]|\\.)(?:[^\s():"\\\[\]{}^~]|\\.)*):
    | "(?P<phrase>(?:[^"\\]|\\.)*)"
    | (?P<range>[\[{][^\]}]*[\]}])
    | (?P<compare>(?:>=|<=|>|<)[^\s()]+)
    | /(?P<regexp>(?:[^/\\]|\\.)*)/
    | (?P<word>(?:[^\s():"\\\[\]{}]|\\.)+)
    )""",
    re.VERBOSE,
)


@dataclass
class QueryString:
    """A query_string: words, "phrases", field:value, wildcards, ranges, AND OR NOT + - and brackets.

    ``parse`` raises ``Refused`` (400) for anything malformed, and for regular expressions, fuzziness and boosts inside.
    """

    text: str
    make: Make
    operator: Operator
    lenient: bool
    minimum_should_match: str | None
    leading_wildcard: bool
    zone: str | None
    limits: Limits

    def parse(self) -> Query:
        """The tree."""
        if not self.text.strip():
            return MatchNone()
        self._tokens, self._at = self._split(), 0
        if len(self._tokens) > self.limits.clauses:
            raise malformed(f"maxClauseCount is set to {self.limits.clauses}")
        query = self._clauses(self.make, 0)
        if self._at < len(self._tokens):
            raise self._wrong()
        if self.minimum_should_match is not None and isinstance(query, Bool):
            return replace(query, minimum_should_match=self.minimum_should_match)
        return query

    def _split(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(self.text.rstrip()):
            found = _TOKEN.match(self.text, position)
            if found is None or found.lastgroup is None:
                raise self._wrong()
            tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        return tokens

    def _wrong(self, why: str = "") -> Exception:
        return malformed(f"Failed to parse query [{self.text}]{': ' + why if why else ''}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _clauses(self, make: Make, depth: int) -> Query:
        if depth > self.limits.depth:
            raise self._wrong("too deep")
        must: list[Query] = []
        must_not: list[Query] = []
        should: list[Query] = []
        joined_by_and = False
        while self._peek()[0] not in ("", "close"):
            sign, next_and = "", joined_by_and
            joined_by_and = False
            while self._peek()[0] == "operator":
                word = self._tokens[self._at][1]
                self._at += 1
                if word in ("AND", "&&"):
                    next_and = True
                    if should and not must:
                        must.append(should.pop())
                elif word in ("NOT", "!", "-"):
                    sign = "-"
                elif word == "+":
                    sign = "+"
            clause = self._clause(make, depth)
            follows = self._peek()
            joined_by_and = follows[0] == "operator" and follows[1] in ("AND", "&&")
            follows_or = follows[0] == "operator" and follows[1] in ("OR", "||")
            if sign == "-":
                must_not.append(clause)
            elif sign == "+" or next_and or joined_by_and or (self.operator == "AND" and not follows_or):
                must.append(clause)
            else:
                should.append(clause)
        if not must and not must_not and len(should) == 1:
            return should[0]
        if len(must) == 1 and not must_not and not should:
            return must[0]
        if must_not and not must and not should:
            must.append(MatchAll())
        return Bool(must=tuple(must), must_not=tuple(must_not), should=tuple(should))

    def _clause(self, make: Make, depth: int) -> Query:
        kind, value = self._peek()
        self._at += 1
        if kind == "open":
            query = self._clauses(make, depth + 1)
            if self._peek()[0] != "close":
                raise self._wrong("a bracket is not closed")
            self._at += 1
            return query
        if kind == "field":
            field = _unescaped(value)
            if field == "_exists_":
                return Exists(field=_unescaped(self._value()))
            return self._clause(_on(field), depth)
        if kind == "phrase":
            return make(MatchPhrase(field="", text=_unescaped(value), lenient=self.lenient))
        if kind == "range":
            return make(self._range(value))
        if kind == "compare":
            return make(self._compare(value))
        if kind == "word":
            return make(self._word(value))
        if kind == "regexp":
            raise self._wrong("regular expressions are not supported inside query_string")
        raise self._wrong()

    def _value(self) -> str:
        kind, value = self._peek()
        if kind not in ("word", "phrase"):
            raise self._wrong()
        self._at += 1
        return value

    def _range(self, text: str) -> Leaf:
        lower, separator, upper = text[1:-1].partition(" TO ")
        if not separator:
            raise self._wrong("a range is [lower TO upper]")
        bounds = [None if bound.strip() == "*" else _unescaped(bound.strip().strip('"')) for bound in (lower, upper)]
        return Range(
            field="",
            lower=bounds[0],
            upper=bounds[1],
            include_lower=text[0] == "[",
            include_upper=text[-1] == "]",
            time_zone=self.zone,
        )

    def _compare(self, text: str) -> Leaf:
        sign = re.match(r"[<>]=?", text)
        assert sign is not None
        bound, including = _unescaped(text[sign.end() :]), sign[0].endswith("=")
        if sign[0].startswith(">"):
            return Range(field="", lower=bound, include_lower=including, time_zone=self.zone)
        return Range(field="", upper=bound, include_upper=including, time_zone=self.zone)

    def _word(self, word: str) -> Leaf:
        if re.search(r"(?<!\\)[~^]", word):
            raise self._wrong("fuzziness (~) and boosts (^) are not supported inside query_string")
        if re.search(r"(?<!\\)[*?]", word):
            if not self.leading_wildcard and word[0] in "*?":
                raise self._wrong("'*' or '?' not allowed as first character in WildcardQuery")
            return Exists(field="") if word == "*" else Wildcard(field="", pattern=word, case_insensitive=True)
        return Match(field="", text=_unescaped(word), lenient=self.lenient)


def _on(field: str) -> Make:
    return lambda leaf: replace(leaf, field=field)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
