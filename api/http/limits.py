"""Limits on what clients use at once; requests beyond a limit are refused, they do not wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import Refused


class Quota:
    """Each client may hold ``most`` units at once; ``reason`` refuses more.

    >>> quota = Quota(1, "too many")
    >>> with quota.taken("a"), quota.taken("b"):
    ...     with quota.taken("a"):
    ...         pass
    Traceback (most recent call last):
    schemas.errors.Refused: too many
    """

    def __init__(self, most: int, reason: str) -> None:
        self._most, self._reason = most, reason
        self._taken: dict[str, int] = {}

    def take(self, who: str = "", count: int = 1) -> None:
        """Take some units. Raises ``Refused`` (429) when they are too many."""
        taken = self._taken.get(who, 0) + count
        if taken > self._most:
            raise Refused(429, self._reason, "rejected_execution_exception")
        self._taken[who] = taken

    def give_back(self, who: str = "", count: int = 1) -> None:
        """Give some units back."""
        left = self._taken.pop(who, 0) - count
        if left > 0:
            self._taken[who] = left

    @contextmanager
    def taken(self, who: str = "") -> Iterator[None]:
        """Hold one unit."""
        self.take(who)
        try:
            yield
        finally:
            self.give_back(who)
