"""A JSON text token by token: what is wrong with a malformed one, in the words of OpenSearch's parser (Jackson).

Bodies are decoded in one go; only when one is refused is its text read again, for the sentence or for a position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERAL = re.compile(rb"true|false|null")
_WORD = re.compile(r"[\w$]*")

_MAX_DEPTH = 1000
_CLOSE = {"{": "}", "[": "]"}
_TYPE = {"{": "Object", "[": "Array", "": "root"}
_VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@dataclass(frozen=True)
class Token:
    """One token: its kind by Jackson's name, and where it begins and ends (bytes)."""

    kind: str
    start: int
    end: int


class Malformed(ValueError):
    """A text that is no JSON. ``at`` is the byte; ``ended`` says that the text ended where a token had to go on."""

    def __init__(self, message: str, at: int, *, ended: bool = False) -> None:
        super().__init__(message)
        self.at, self.ended = at, ended


def place(text: bytes, at: int) -> tuple[int, int]:
    """Line and column of a byte, both from 1; columns count bytes.

    >>> place(b'{"a":\\n 1}', 7)
    (2, 2)
    """
    return text.count(b"\n", 0, at) + 1, at - text.rfind(b"\n", 0, at)


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of a text. Raises ``Malformed`` where it stops being JSON; what follows the first value is not read.

    >>> [token.kind for token in tokens(b'{"a": [1]}')]
    ['START_OBJECT', 'FIELD_NAME', 'START_ARRAY', 'VALUE_NUMBER', 'END_ARRAY', 'END_OBJECT']
    >>> list(tokens(b'{"a": 1,}'))
    Traceback (most recent call last):
    api.http.json_text.Malformed: Unexpected character ('}' (code 125)): was expecting double-quote to start field name
    """
    return _Scanner(text).tokens()


class _Scanner:
    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0
        self._open: list[tuple[str, int]] = []

    def tokens(self) -> Iterator[Token]:
        first = True
        while True:
            char = self._next()
            if char == "":
                if self._open:
                    kind, start = self._open[-1]
                    marker = f"expected close marker for {_TYPE[kind]} (start marker at {_source(self._text, start)})"
                    raise self._ended(f": {marker}")
                return
            if char in "]}":
                yield self._close(char)
                first = False
            else:
                kind = self._open[-1][0] if self._open else ""
                if kind and not first:
                    if char != ",":
                        raise self._unexpected(char, f"was expecting comma to separate {_TYPE[kind]} entries")
                    self._at += 1
                    char = self._next()
                    if char == "":
                        raise Malformed(f"Unexpected end-of-input within/between {_TYPE[kind]} entries", self._at)
                if kind == "{":
                    yield self._name(char)
                    char = self._colon()
                token = self._value(char)
                yield token
                first = token.kind.startswith("START")
            if not self._open:
                return

    def _next(self) -> str:
        """The next character that is no space, "" at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._char()

    def _char(self) -> str:
        byte = self._text[self._at : self._at + 1]
        if byte < b"\x80":
            return byte.decode()
        return self._text[self._at : self._at + 4].decode("utf-8", "replace")[0]

    def _close(self, char: str) -> Token:
        kind, start = self._open[-1] if self._open else ("", 0)
        wanted = _CLOSE.get(kind, "]" if char == "}" else "}")
        if not kind or char != wanted:
            message = f"Unexpected close marker '{char}': expected '{wanted}' (for {_TYPE[kind]} starting at"
            raise Malformed(f"{message} {_source(self._text, start)})", self._at)
        self._open.pop()
        self._at += 1
        return Token("END_OBJECT" if char == "}" else "END_ARRAY", self._at - 1, self._at)

    def _name(self, char: str) -> Token:
        if char != '"':
            raise self._unexpected(char, "was expecting double-quote to start field name")
        return self._string("FIELD_NAME", " in field name", "name")

    def _colon(self) -> str:
        char = self._next()
        if char not in (":", ""):
            raise self._unexpected(char, "was expecting a colon to separate field name and value")
        self._at += char == ":"
        char = self._next()
        if char == "":
            raise self._ended(" within/between Object entries")
        return char

    def _value(self, char: str) -> Token:
        start = self._at
        if char in "{[":
            self._open.append((char, start))
            if len(self._open) > _MAX_DEPTH:
                limit = f"the maximum allowed ({_MAX_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)"
                raise Malformed(f"Document nesting depth ({len(self._open)}) exceeds {limit}", start)
            self._at += 1
            return Token("START_OBJECT" if char == "{" else "START_ARRAY", start, self._at)
        if char == '"':
            return self._string("VALUE_STRING", " in VALUE_STRING", "string value")
        if char == "-" or char.isdecimal():
            return self._number(char)
        word = self._word(start)
        if match := _LITERAL.fullmatch(word.encode()):
            self._at = start + match.end()
            return Token("VALUE_NULL" if word == "null" else "VALUE_BOOLEAN", start, self._at)
        if char in ",}" or (char == "]" and self._open[-1:] and self._open[-1][0] == "["):
            raise self._unexpected(char, "expected a value")
        if word in ("NaN", "Infinity"):
            reason = f"Non-standard token '{word}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
            raise Malformed(reason, start)
        if word:
            raise Malformed(f"Unrecognized token '{word}': was expecting {_VALUES}", start)
        raise self._unexpected(char, f"expected a valid value {_VALUES}")

    def _word(self, start: int) -> str:
        match = _WORD.match(self._text[start : start + 256].decode("utf-8", "replace"))
        return match.group() if match else ""

    def _string(self, kind: str, ended: str, included: str) -> Token:
        start = self._at
        match = _STRING.match(self._text, start)
        self._at = match.end() if match else start
        char = self._char()
        if char == '"':
            self._at += 1
            return Token(kind, start, self._at)
        if char == "":
            raise self._ended(ended)
        if char != "\\":
            reason = f"Illegal unquoted character ({_named(char)}): has to be escaped using backslash to be included in"
            raise Malformed(f"{reason} {included}", self._at)
        self._at += 1
        escaped = self._char()
        if escaped == "u":
            self._at += 1
            while self._char() and self._char() in "0123456789abcdefABCDEF":
                self._at += 1
            escaped = self._char()
            if escaped:
                raise self._unexpected(escaped, "expected a hex-digit for character escape sequence")
        if escaped == "":
            raise self._ended(" in character escape sequence")
        raise Malformed(f"Unrecognized character escape {_named(escaped)}", self._at)

    def _number(self, char: str) -> Token:
        start = self._at
        match = _NUMBER.match(self._text, start)
        self._at = match.end() if match else start + 1
        follows = self._char()
        if match is None:
            raise self._not_in_number(follows, "expected digit (0-9) to follow minus sign, for valid numeric value")
        if follows.isdecimal():
            raise Malformed("Invalid numeric value: Leading zeroes not allowed", self._at)
        if follows in (".", "e", "E"):
            self._at += 1
            self._at += follows != "." and self._char() in ("+", "-")
            missing = (
                "Decimal point not followed by a digit"
                if follows == "."
                else "Exponent indicator not followed by a digit"
            )
            raise self._not_in_number(self._char(), missing)
        return Token("VALUE_NUMBER", start, self._at)

    def _not_in_number(self, char: str, comment: str) -> Malformed:
        if char == "":
            return self._ended(" in a Number value")
        return Malformed(f"Unexpected character ({_named(char)}) in numeric value: {comment}", self._at)

    def _unexpected(self, char: str, comment: str) -> Malformed:
        return Malformed(f"Unexpected character ({_named(char)}): {comment}", self._at)

    def _ended(self, where: str) -> Malformed:
        return Malformed(f"Unexpected end-of-input{where}", self._at, ended=True)


def _named(char: str) -> str:
    """A character as Jackson shows it."""
    code = ord(char)
    if code < 32 or 127 <= code < 160:
        return f"(CTRL-CHAR, code {code})"
    return f"'{char}' (code {code} / 0x{code:x})" if code > 255 else f"'{char}' (code {code})"


def _source(text: bytes, at: int) -> str:
    line, column = place(text, at)
    return (
        f"[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
    )


def located(text: bytes, malformed: Malformed) -> str:
    """The whole sentence about a malformed text, with its position."""
    return f"{malformed}\n at {_source(text, malformed.at)}"
