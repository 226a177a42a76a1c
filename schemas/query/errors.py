"""How a query is refused, in OpenSearch's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.errors import Refused


@dataclass(frozen=True)
class Limits:
    """What one query may ask for at most (OpenSearch's defaults)."""

    depth: int = 20
    clauses: int = 1024
    terms: int = 65_536
    pattern_length: int = 1_000


DEFAULT_LIMITS = Limits()


def malformed(reason: str) -> Refused:
    """The body is not of the form the language wants: ``parsing_exception``."""
    return Refused(400, reason, "parsing_exception")


def unknown_member(clause: str, member: str, known: Iterable[str]) -> Refused:
    """A member that the clause does not have, with the ones it may have been meant for."""
    return Refused(400, f"[{clause}] unknown field [{member}]{suggestion(member, known)}", "x_content_parse_exception")


def wrong_value(reason: str) -> Refused:
    """A value that can't be used: ``illegal_argument_exception``."""
    return Refused(400, reason, "illegal_argument_exception")


class TooComplex(Refused):
    """A query beyond its limits."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason, "illegal_argument_exception")


def uncreatable(reason: str) -> Refused:
    """The query is well formed, but not for this field: ``query_shard_exception``."""
    return Refused(400, f"failed to create query: {reason}", "query_shard_exception")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The names close to ``name``, as OpenSearch proposes them: more than half of the letters alike.

    >>> suggestion("trem", ["term", "terms", "range"])
    ''
    >>> suggestion("termz", ["term", "terms", "range"])
    ' did you mean any of [term, terms]?'
    """
    scored = [(1 - _distance(name, other) / max(len(name), len(other), 1), other) for other in known]
    close = [other for score, other in sorted(scored, key=lambda pair: (-pair[0], pair[1])) if score > 0.5]
    if not close:
        return ""
    return f" did you mean [{close[0]}]?" if len(close) == 1 else f" did you mean any of [{', '.join(close)}]?"


def _distance(left: str, right: str) -> int:
    if len(left) > 64:
        return max(len(left), len(right))
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
