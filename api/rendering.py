"""From a payload to the bytes of an answer: ``filter_path``, ``pretty``, JSON."""

from __future__ import annotations

from typing import Any

import orjson

JSON_TYPE = "application/json; charset=UTF-8"
TEXT_TYPE = "text/plain; charset=UTF-8"


def render(payload: Any, parameters: dict[str, str]) -> bytes:
    """The JSON text of a payload, shaped by the response parameters."""
    if "filter_path" in parameters:
        payload = filtered(payload, parameters["filter_path"])
    options = orjson.OPT_NON_STR_KEYS
    if parameters.get("pretty", "false") in ("", "true"):
        options |= orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(payload, option=options)


def filtered(payload: Any, expression: str) -> Any:
    """The parts of a payload that a ``filter_path`` names; ``-`` in front excludes, ``*`` and ``**`` match.

    >>> filtered({"hits": {"total": 1, "hits": [{"_id": "a", "_source": {}}]}}, "hits.hits._id")
    {'hits': {'hits': [{'_id': 'a'}]}}
    >>> filtered({"a": 1, "b": {"c": 2}}, "-b.c")
    {'a': 1}
    """
    patterns = [part.strip() for part in expression.split(",") if part.strip()]
    excluded = [pattern[1:].split(".") for pattern in patterns if pattern.startswith("-")]
    included = [pattern.split(".") for pattern in patterns if not pattern.startswith("-")]
    if excluded:
        payload = _without(payload, excluded)
    if included:
        payload = _only(payload, included)
    return {} if payload is _NOTHING else payload


_NOTHING = object()


def _advance(patterns: list[list[str]], key: str) -> tuple[bool, list[list[str]]]:
    """Whether a pattern ends at this key, and what is left of the patterns below it."""
    done, rest = False, []
    for pattern in patterns:
        head, tail = pattern[0], pattern[1:]
        if head == "**":
            rest.append(pattern)
            if not tail:
                done = True
            elif _fits(tail[0], key):
                if len(tail) == 1:
                    done = True
                else:
                    rest.append(tail[1:])
        elif _fits(head, key):
            if not tail:
                done = True
            else:
                rest.append(tail)
    return done, rest


def _fits(pattern: str, key: str) -> bool:
    if "*" not in pattern:
        return pattern == key
    head, *middle, last = pattern.split("*")
    if not key.startswith(head) or not key.endswith(last) or len(key) < len(head) + len(last):
        return False
    at, end = len(head), len(key) - len(last)
    for part in middle:
        found = key.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _only(value: Any, patterns: list[list[str]]) -> Any:
    if isinstance(value, list):
        kept = [part for item in value if (part := _only(item, patterns)) is not _NOTHING]
        return kept or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    found = {}
    for key, item in value.items():
        done, rest = _advance(patterns, str(key))
        part = item if done else (_only(item, rest) if rest else _NOTHING)
        if part is not _NOTHING:
            found[key] = part
    return found or _NOTHING


def _without(value: Any, patterns: list[list[str]]) -> Any:
    if isinstance(value, list):
        kept = [part for item in value if (part := _without(item, patterns)) is not _NOTHING]
        return kept if kept or not value else _NOTHING
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        done, rest = _advance(patterns, str(key))
        part = _NOTHING if done else (_without(item, rest) if rest else item)
        if part is not _NOTHING:
            found[key] = part
    return found if found or not value else _NOTHING
