"""The body of an answer: ``filter_path``, ``pretty``, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api.search.deadline import Deadline
from schemas.token import illegal_argument

JSON_TYPE = "application/json; charset=UTF-8"
TEXT_TYPE = "text/plain; charset=UTF-8"

MAX_PATTERNS, MAX_DOUBLE_WILDCARDS, MAX_CHARACTERS = 50, 2, 4096
"""Limits of a ``filter_path``: each ``**`` multiplies the patterns that each key of an answer is compared with."""


def render(payload: Any, parameters: Mapping[str, str], filter: Filter | None = None) -> bytes:
    """The JSON text of a payload, or of the parts that a filter keeps, formatted by the response parameters."""
    if filter is not None:
        payload = filter.apply(payload)
    options = orjson.OPT_NON_STR_KEYS
    if parameters.get("pretty", "false") in ("", "true"):
        options |= orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(payload, option=options)


Pattern = tuple[str, ...]
Patterns = tuple[Pattern, ...]


class Filter:
    """The parts of a payload that a ``filter_path`` selects; ``-`` excludes, ``*`` and ``**`` are wildcards.

    >>> Filter("hits.hits._id").apply({"hits": {"total": 1, "hits": [{"_id": "a", "_source": {}}]}})
    {'hits': {'hits': [{'_id': 'a'}]}}
    >>> Filter("-b.c").apply({"a": 1, "b": {"c": 2}})
    {'a': 1}

    Raises ``Refused`` (400) for an expression that would take too long, and 504 when it is cancelled.
    """

    def __init__(self, expression: str) -> None:
        self._deadline = Deadline()
        if len(expression) > MAX_CHARACTERS:
            raise illegal_argument(f"[filter_path] has more than {MAX_CHARACTERS} characters")
        written = dict.fromkeys(part.strip() for part in expression.split(",") if part.strip())
        if len(written) > MAX_PATTERNS:
            raise illegal_argument(f"[filter_path] has more than {MAX_PATTERNS} patterns")
        self._excluded = tuple(tuple(each[1:].split(".")) for each in written if each.startswith("-"))
        self._included = tuple(tuple(each.split(".")) for each in written if not each.startswith("-"))
        for pattern in self._excluded + self._included:
            if pattern.count("**") > MAX_DOUBLE_WILDCARDS:
                raise illegal_argument(
                    f"[filter_path] has more than {MAX_DOUBLE_WILDCARDS} [**] in [{'.'.join(pattern)}]"
                )
        # The keys of an answer repeat, hit after hit.
        self._known: dict[Patterns, dict[str, tuple[bool, Patterns]]] = {}

    def cancel(self) -> None:
        """Stop filtering that runs in another thread."""
        self._deadline.give_up()

    def apply(self, payload: Any) -> Any:
        """The parts of the payload that are kept."""
        if self._excluded:
            payload = self._without(payload, self._excluded)
        if self._included:
            payload = self._only(payload, self._included)
        return {} if payload is _NOTHING else payload

    def _only(self, value: Any, patterns: Patterns) -> Any:
        if isinstance(value, list):
            kept = [part for item in value if (part := self._only(item, patterns)) is not _NOTHING]
            return kept or _NOTHING
        if not isinstance(value, dict):
            return _NOTHING
        self._deadline.check()
        found, known = {}, self._known.setdefault(patterns, {})
        for key, item in value.items():
            done, rest = known.get(key) or known.setdefault(key, _advance(patterns, str(key)))
            part = item if done else (self._only(item, rest) if rest else _NOTHING)
            if part is not _NOTHING:
                found[key] = part
        return found or _NOTHING

    def _without(self, value: Any, patterns: Patterns) -> Any:
        if isinstance(value, list):
            kept = [part for item in value if (part := self._without(item, patterns)) is not _NOTHING]
            return kept if kept or not value else _NOTHING
        if not isinstance(value, dict):
            return value
        self._deadline.check()
        found, known = {}, self._known.setdefault(patterns, {})
        for key, item in value.items():
            done, rest = known.get(key) or known.setdefault(key, _advance(patterns, str(key)))
            part = _NOTHING if done else (self._without(item, rest) if rest else item)
            if part is not _NOTHING:
                found[key] = part
        return found if found or not value else _NOTHING


_NOTHING = object()


def _advance(patterns: Patterns, key: str) -> tuple[bool, Patterns]:
    """Whether a pattern ends at this key, and the distinct patterns for the level below it."""
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
    return done, tuple(dict.fromkeys(rest))


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
