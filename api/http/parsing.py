"""Reads JSON bodies: what is malformed or of another form is refused as OpenSearch does, with its position."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from api.http.json_text import Malformed, Token, located, place, tokens
from schemas.errors import Refused
from schemas.token import parsing_failed, token

T = TypeVar("T")

MAX_PLACED_BYTES = 256 * 1024
"""A larger body is refused without a position: to find it takes a look at every token."""

_PLACED = ("parsing_exception", "x_content_parse_exception")
_EMPTY_CLAUSE = "query malformed, empty clause found"
_AT_END = re.compile(r"^Missing |^No text |\brequires?\b|\bRequired\b|must be (provided|specified|set)")
"""What is missing is known at the end of an object."""


def read_object(text: bytes, *, search: bool = False) -> dict[str, Any]:
    """A JSON object. Raises ``Refused``; a search's body is refused in other words.

    >>> read_object(b'{"a":1}')
    {'a': 1}
    >>> read_object(b" [1]")
    Traceback (most recent call last):
    schemas.errors.Refused: Failed to parse object: expecting token of type [START_OBJECT] but found [START_ARRAY]
    """
    value = _parse(text)
    if isinstance(value, dict):
        return value
    found = token(value) if text.strip() else "null"
    wanted = "Expected [START_OBJECT]" if search else "Failed to parse object: expecting token of type [START_OBJECT]"
    refused = parsing_failed(f"{wanted} but found [{found}]")
    _note(refused, text, len(text) - len(text.lstrip()))
    raise refused


def read(text: bytes, document: dict[str, Any], reader: Callable[[dict[str, Any]], T]) -> T:
    """What ``reader`` makes of a document, whose text is ``text``. A parsing error gets its position in it."""
    try:
        return reader(document)
    except Refused as refused:
        chain = _chain(refused)
        placed = any(each.kind in _PLACED for each in chain) or chain[-1].reason == _EMPTY_CLAUSE
        if placed and len(text) <= MAX_PLACED_BYTES:
            _locate(chain, text, reader)
        raise


def _parse(text: bytes) -> Any:
    try:
        return orjson.loads(text) if text.strip() else None
    except orjson.JSONDecodeError as error:
        malformed = _malformed(text) or Malformed(error.msg, error.pos)
        kind = "json_e_o_f_exception" if malformed.ended else "json_parse_exception"
        raise Refused(400, located(text, malformed), kind) from error


def _malformed(text: bytes) -> Malformed | None:
    try:
        for _ in tokens(text):
            pass
        text.decode()
    except Malformed as malformed:
        return malformed
    except UnicodeDecodeError as error:
        which = "start" if "start" in error.reason else "middle"
        return Malformed(f"Invalid UTF-8 {which} byte 0x{text[error.start]:02x}", error.start)
    return None


def _chain(refused: Refused) -> list[Refused]:
    """A refusal and its causes."""
    chain = [refused]
    while isinstance(cause := chain[-1].__cause__, Refused):
        chain.append(cause)
    return chain


def _locate(chain: list[Refused], text: bytes, reader: Callable[[dict[str, Any]], object]) -> None:
    """Find the token at which a parser that goes from token to token stops.

    It is the last one of the shortest beginning of the text that is refused for the same reason, when all that is open
    at its end is closed.
    """
    reasons = [each.reason for each in chain]
    found = list(tokens(text))
    closing = _closing(found)
    values = [at for at, each in enumerate(found) if each.kind != "FIELD_NAME" and not each.kind.startswith("END")]

    def is_refused(at: int) -> bool:
        try:
            reader(orjson.loads(text[: found[at].end] + closing[at]))
        except Refused as again:
            return [each.reason for each in _chain(again)] == reasons
        return False

    first = bisect_left(values, True, key=is_refused)
    if first == len(values):
        return
    at = values[first]
    if "found [FIELD_NAME]" in reasons[-1]:
        at -= 1
    elif reasons[-1].startswith("[_na]"):
        at += 1
    elif reasons[-1] == _EMPTY_CLAUSE or _AT_END.search(reasons[-1]):
        at = _end(found, at) + (reasons[-1] == "No text specified for text query")  # which ends one object further out
    for each in chain:
        _note(each, text, found[at].start)


def _closing(found: list[Token]) -> list[bytes]:
    """What closes everything that is open after each token."""
    closing, now = [], b""
    for each in found:
        if each.kind.startswith("START"):
            now = (b"}" if each.kind == "START_OBJECT" else b"]") + now
        elif each.kind.startswith("END"):
            now = now[1:]
        closing.append(now)
    return closing


def _end(found: list[Token], start: int) -> int:
    """The token that closes what a token opens; the same for one that opens nothing."""
    depth = 0
    for at in range(start, len(found)):
        depth += found[at].kind.startswith("START") - found[at].kind.startswith("END")
        if depth == 0:
            return at
    return start


def _note(refused: Refused, text: bytes, at: int) -> None:
    line, column = place(text, at)
    if refused.kind == "parsing_exception":
        refused.details |= {"line": line, "col": column}
    elif refused.kind == "x_content_parse_exception":
        refused.reason = f"[{line}:{column}] {refused.reason}"
    elif refused.reason == _EMPTY_CLAUSE:
        refused.reason = f"{refused.reason} at [{line}:{column}]"
