"""Patterns of the wildcard and regexp clauses, matched in time linear in the text whatever the pattern.

Python's ``re`` backtracks: a pattern like ``(a*)*b`` from a client would stop the whole process. Wildcards are
matched piece by piece, regular expressions by following all states of an automaton at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from schemas.query.errors import wrong_value

Test = Callable[[str], bool]
STATES = 10_000


def compile_wildcard(pattern: str, case_insensitive: bool = False) -> Test:
    r"""A test for whole texts: ``*`` is any text, ``?`` any one character, ``\`` takes the next as it is.

    >>> compile_wildcard("sr*")("srv"), compile_wildcard("sr?")("sr")
    (True, False)
    """
    pieces = [_as_text(_folded(piece) if case_insensitive else piece) for piece in wildcard_pieces(pattern)]

    def test(text: str) -> bool:
        return _glob(pieces, text.lower() if case_insensitive else text)

    return test


Piece = tuple[str | None, ...]
"""Characters that follow each other; None stands for any one."""


def wildcard_pieces(pattern: str) -> list[Piece]:
    r"""The pieces between the stars.

    >>> wildcard_pieces(r"a?*\*")
    [('a', None), ('*',)]
    """
    pieces: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            pieces.append([])
        elif character == "?":
            pieces[-1].append(None)
        else:
            pieces[-1].append(next(characters, "\\") if character == "\\" else character)
    return [tuple(piece) for piece in pieces]


def _folded(piece: Piece) -> Piece:
    return tuple(None if one is None else one.lower() for one in piece)


def _as_text(piece: Piece) -> Piece | str:
    """A piece without a ``?`` as what it is: Python looks for texts far faster than for characters."""
    return piece if None in piece else "".join(one for one in piece if one is not None)


def _fits(piece: Piece | str, text: str, start: int) -> bool:
    if isinstance(piece, str):
        return text.startswith(piece, start)
    return all(one is None or one == text[start + at] for at, one in enumerate(piece))


def _found(piece: Piece | str, text: str, start: int, end: int) -> int:
    """Where the piece lies first in ``text[start:end]``; -1 where it does not."""
    if isinstance(piece, str):
        return text.find(piece, start, end)
    return next((at for at in range(start, end - len(piece) + 1) if _fits(piece, text, at)), -1)


def _glob(pieces: list[Piece | str], text: str) -> bool:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return len(text) == len(first) and _fits(first, text, 0)
    start, end = len(first), len(text) - len(last)
    if start > end or not _fits(first, text, 0) or not _fits(last, text, end):
        return False
    for piece in pieces[1:-1]:
        at = _found(piece, text, start, end)
        if at < 0:
            return False
        start = at + len(piece)
    return True


def compile_regexp(pattern: str, case_insensitive: bool = False) -> Test:
    """A test for whole texts with Lucene's syntax: ``. ? * + {n,m} | () [] "literal" \\d \\w \\s @``.

    Raises ``Refused`` for a malformed pattern, for one that is too large, and for ``~``, ``&`` and ``<n-m>``.

    >>> compile_regexp("host-[0-9]{1,2}")("host-12"), compile_regexp("a|b")("ab")
    (True, False)
    """
    machine = _Machine(_RegexpParser(pattern).parse(), case_insensitive)
    return machine.accepts


def regexp_to_re2(pattern: str) -> str:
    """The same expression in the syntax of RE2, for SQL.

    >>> regexp_to_re2('a.b"*"')
    'a.b\\\\*'
    """
    return _to_re2(_RegexpParser(pattern).parse())


class _Node:
    """A part of an expression."""


class _Characters(_Node):
    def __init__(self, ranges: list[tuple[str, str]], negated: bool = False) -> None:
        self.ranges, self.negated = ranges, negated

    def has(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.negated


class _Sequence(_Node):
    def __init__(self, parts: list[_Node]) -> None:
        self.parts = parts


class _Choice(_Node):
    def __init__(self, options: list[_Node]) -> None:
        self.options = options


class _Repeat(_Node):
    def __init__(self, part: _Node, low: int, high: int | None) -> None:
        self.part, self.low, self.high = part, low, high


_ANY: list[tuple[str, str]] = [("\0", "\U0010ffff")]
_CLASSES: dict[str, list[tuple[str, str]]] = {
    "d": [("0", "9")],
    "w": [("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")],
    "s": [("\t", "\r"), (" ", " ")],
}


class _RegexpParser:
    def __init__(self, pattern: str) -> None:
        self._pattern, self._at, self._depth = pattern, 0, 0

    def parse(self) -> _Node:
        node = self._choice()
        if self._at < len(self._pattern):
            raise self._wrong("end-of-string expected")
        return node

    def _wrong(self, reason: str) -> Exception:
        return wrong_value(f"{reason} at position {self._at} of regexp [{self._pattern}]")

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise self._wrong("unexpected end-of-string")
        self._at += 1
        return self._pattern[self._at - 1]

    def _choice(self) -> _Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _Choice(options)

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())
        return _Sequence(parts)

    def _repeated(self) -> _Node:
        node = self._single()
        while (sign := self._peek()) and sign in "?*+{":
            self._at += 1
            if sign == "{":
                low, high = self._counts()
            else:
                low, high = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
            node = _Repeat(node, low, high)
        return node

    def _counts(self) -> tuple[int, int | None]:
        found = re.compile(r"(\d{1,5})(,(\d{0,5}))?\}").match(self._pattern, self._at)
        if found is None:
            raise self._wrong("integer expected")
        self._at = found.end()
        low = int(found[1])
        high = low if found[2] is None else int(found[3]) if found[3] else None
        if high is not None and high < low:
            raise self._wrong("invalid repetition range(out of order)")
        return low, high

    def _single(self) -> _Node:
        character = self._next()
        if character == "(":
            self._depth += 1
            if self._depth > 100:
                raise self._wrong("too many open parentheses")
            node: _Node = _Sequence([]) if self._peek() == ")" else self._choice()
            if self._peek() != ")":
                raise self._wrong("expected ')'")
            self._at += 1
            self._depth -= 1
            return node
        if character == "[":
            return self._class()
        if character == ".":
            return _Characters(_ANY)
        if character == "@":
            return _Repeat(_Characters(_ANY), 0, None)
        if character == '"':
            end = self._pattern.find('"', self._at)
            if end < 0:
                raise self._wrong("expected '\"'")
            literal, self._at = self._pattern[self._at : end], end + 1
            return _Sequence([_Characters([(one, one)]) for one in literal])
        if character in "~&<#":
            raise self._wrong(f"the operator [{character}] is not supported: escape it with \\ or leave it out,")
        if character == "\\":
            return self._escaped()
        return _Characters([(character, character)])

    def _escaped(self) -> _Characters:
        character = self._next()
        if character.lower() in _CLASSES:
            return _Characters(_CLASSES[character.lower()], negated=character.isupper())
        return _Characters([(character, character)])

    def _class(self) -> _Node:
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        while self._peek() != "]" or not ranges:
            low = self._next()
            if low == "\\":
                escaped = self._escaped()
                if escaped.negated:
                    raise self._wrong("negated class inside [] is not supported")
                if len(escaped.ranges) > 1 or escaped.ranges[0][0] != escaped.ranges[0][1]:
                    ranges += escaped.ranges
                    continue
                low = escaped.ranges[0][0]
            high = low
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._next()
                high = self._next() if high == "\\" else high
                if high < low:
                    raise self._wrong("invalid range")
            ranges.append((low, high))
        self._at += 1
        return _Characters(ranges, negated)


class _Machine:
    """All states an expression can be in are followed at once; each step of a set of states is remembered."""

    def __init__(self, node: _Node, case_insensitive: bool) -> None:
        self._folded = case_insensitive
        self._jumps: list[list[int]] = []
        self._steps: list[tuple[_Characters, int] | None] = []
        start = self._state()
        self._end = self._build(node, start)
        self._start = self._closed(frozenset((start,)))
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def _state(self) -> int:
        if len(self._jumps) >= STATES:
            raise wrong_value(f"Determinizing automaton would require more than {STATES} states.")
        self._jumps.append([])
        self._steps.append(None)
        return len(self._jumps) - 1

    def _build(self, node: _Node, start: int) -> int:
        if isinstance(node, _Characters):
            end = self._state()
            entry = self._state()
            self._jumps[start].append(entry)
            self._steps[entry] = (node, end)
            return end
        if isinstance(node, _Sequence):
            for part in node.parts:
                start = self._build(part, start)
            return start
        if isinstance(node, _Choice):
            end = self._state()
            for option in node.options:
                self._jumps[self._build(option, self._jump(start))].append(end)
            return end
        assert isinstance(node, _Repeat)
        for _ in range(node.low):
            start = self._build(node.part, self._jump(start))
        end = self._state()
        self._jumps[start].append(end)
        if node.high is None:
            again = self._jump(start)
            self._jumps[self._build(node.part, again)].extend((again, end))
        else:
            for _ in range(node.high - node.low):
                start = self._build(node.part, self._jump(start))
                self._jumps[start].append(end)
        return end

    def _jump(self, start: int) -> int:
        entry = self._state()
        self._jumps[start].append(entry)
        return entry

    def _closed(self, states: frozenset[int]) -> frozenset[int]:
        seen, open_ = set(states), list(states)
        while open_:
            for target in self._jumps[open_.pop()]:
                if target not in seen:
                    seen.add(target)
                    open_.append(target)
        return frozenset(seen)

    def accepts(self, text: str) -> bool:
        states = self._start
        for character in text:
            following = self._known.get((states, character))
            if following is None:
                following = self._follow(states, character)
                if len(self._known) < STATES:
                    self._known[states, character] = following
            states = following
            if not states:
                return False
        return self._end in states

    def _follow(self, states: frozenset[int], character: str) -> frozenset[int]:
        forms = {character.lower(), character.upper()} if self._folded else {character}
        targets = set()
        for state in states:
            step = self._steps[state]
            if step is not None and any(len(form) == 1 and step[0].has(form) for form in forms):
                targets.add(step[1])
        return self._closed(frozenset(targets))


def _to_re2(node: _Node) -> str:
    if isinstance(node, _Characters):
        if node.ranges is _ANY and not node.negated:
            return "."
        if len(node.ranges) == 1 and node.ranges[0][0] == node.ranges[0][1] and not node.negated:
            return _escape(node.ranges[0][0])
        inside = "".join(_code(low) + ("" if low == high else "-" + _code(high)) for low, high in node.ranges)
        return f"[{'^' if node.negated else ''}{inside}]"
    if isinstance(node, _Sequence):
        return "".join(f"({_to_re2(part)})" if isinstance(part, _Choice) else _to_re2(part) for part in node.parts)
    if isinstance(node, _Choice):
        return "|".join(_to_re2(option) for option in node.options)
    assert isinstance(node, _Repeat)
    counts = {(0, 1): "?", (0, None): "*", (1, None): "+"}.get((node.low, node.high))
    if counts is None:
        counts = f"{{{node.low},{'' if node.high is None else node.high}}}"
    return f"(?:{_to_re2(node.part)}){counts}"


def _escape(character: str) -> str:
    return (
        character
        if character.isalnum() and character.isascii()
        else _code(character)
        if character < " "
        else ("\\" + character if character.isascii() and not character.isalnum() else character)
    )


def _code(character: str) -> str:
    return character if character.isalnum() and character.isascii() else f"\\x{{{ord(character):x}}}"
