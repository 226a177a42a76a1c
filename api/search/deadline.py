"""How long a search may go on: Python code in a thread can be stopped by nobody but itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from schemas.errors import Refused

T = TypeVar("T")

AT_ONCE = 256
"""Documents between two looks at the clock: a thousand clauses on so many take about 0.1 s."""


class Deadline:
    """Ends a search after so many seconds, or when somebody else gives it up.

    >>> deadline = Deadline(60.0)
    >>> list(deadline.over("ab"))
    ['a', 'b']
    >>> deadline.give_up()
    >>> list(deadline.over("ab"))
    Traceback (most recent call last):
    schemas.errors.Refused: not answered within 60 s
    """

    def __init__(self, seconds: float = float("inf")) -> None:
        self._seconds = seconds
        self._at = time.monotonic() + seconds

    def give_up(self) -> None:
        """Let it end at its next look."""
        self._at = float("-inf")

    def check(self) -> None:
        """Raise ``Refused`` (504) when it is over."""
        if time.monotonic() > self._at:
            raise Refused(504, f"not answered within {self._seconds:g} s", "timeout_exception")

    def parts(self, items: Iterable[T]) -> Iterator[list[T]]:
        """The items, a few hundred at a time. Raises ``Refused`` (504) when it is over."""
        rest = iter(items)
        while some := list(islice(rest, AT_ONCE)):
            self.check()
            yield some

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The items one by one, with a look at the clock every few hundred."""
        return chain.from_iterable(self.parts(items))
