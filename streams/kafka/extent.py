"""How far a partition reaches, and which topic of that name it belongs to."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """The first offset of a partition and its end offset, and the id of its topic."""

    low: int
    high: int
    topic_id: str = ""


def is_another(known: str, found: str) -> bool:
    """Whether two ids are those of different topics; an id that is not known is no difference.

    >>> is_another("a", "b"), is_another("a", "a"), is_another("", "b")
    (True, False, False)
    """
    return bool(known and found and known != found)
