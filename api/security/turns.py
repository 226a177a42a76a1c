"""Whose turn it is when many clients want something slow: few jobs of each may wait, and the clients take turns."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Jobs that wait, by client: at most ``most`` of each.

    >>> turns: Turns[str] = Turns(2)
    >>> [turns.add("a", job) for job in ("a1", "a2", "a3")], turns.add("b", "b1")
    ([True, True, False], True)
    >>> [turns.next() for _ in range(4)]
    ['a1', 'b1', 'a2', None]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, deque[T]] = {}

    def add(self, client: str, job: T) -> bool:
        """Let a job wait; False when its client has enough waiting."""
        jobs = self._waiting.setdefault(client, deque())
        if len(jobs) >= self._most:
            return False
        jobs.append(job)
        return True

    def next(self) -> T | None:
        """The job whose turn it is, which waits no longer; None when there is none."""
        if not self._waiting:
            return None
        client = next(iter(self._waiting))
        jobs = self._waiting.pop(client)
        job = jobs.popleft()
        if jobs:
            self._waiting[client] = jobs  # behind all others
        return job
