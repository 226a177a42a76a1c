"""One partition of a topic."""

from __future__ import annotations

from typing import NamedTuple


class TP(NamedTuple):
    """A partition. Equal to what Faust calls by this name, with equal hashes, so that one stands for the other.

    >>> TP("metrics", 3).partition
    3
    """

    topic: str
    partition: int
