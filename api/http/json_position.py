"""Where in a JSON text a value stands, as OpenSearch says it in a parsing error.

Bodies are decoded in one go, without positions; only when one is refused is the text scanned again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.token import token

_TOKEN = re.compile(r'\s*(?:([{}\[\],:])|("(?:[^"\\]|\\.)*")|(true|false)|(null)|([^\s{}\[\],:"]+))')


def locate(body: bytes, member: str, found: str) -> tuple[int, int] | None:
    """Line and column (from 1) of the first token of kind ``found`` in the value of a top-level member.

    >>> locate(b'{"a": 1, "indices": "srv"}', "indices", "VALUE_STRING")
    (1, 21)
    >>> locate(b'{"a": [1]}', "b", "VALUE_STRING") is None
    True
    """
    text = body.decode("utf-8", "replace")
    for at, kind, path in _tokens(text):
        if path == member and kind == found:
            return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
    return None


def _tokens(text: str) -> Iterator[tuple[int, str, str]]:
    """Start, kind and top-level member of every value."""
    depth, member, key_next = 0, "", False
    objects: list[bool] = []
    for match in _TOKEN.finditer(text):
        punctuation, string, truth, null, _ = match.groups()
        at = match.start(match.lastindex or 0)
        if punctuation in ("{", "["):
            yield at, token({} if punctuation == "{" else []), member
            objects.append(punctuation == "{")
            depth, key_next = depth + 1, punctuation == "{"
        elif punctuation in ("}", "]"):
            if objects:
                objects.pop()
            depth, key_next = depth - 1, False
        elif punctuation == ",":
            key_next = bool(objects and objects[-1])
        elif punctuation == ":":
            key_next = False
        elif string is not None and key_next:
            if depth == 1:
                member = string[1:-1]
        else:
            value: object = 1
            if string is not None:
                value = string
            elif truth is not None:
                value = True
            elif null is not None:
                value = None
            yield at, token(value), member
