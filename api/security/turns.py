"""A fair queue: few jobs of each client are queued, and clients take turns."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Queued jobs: at most ``most`` of each client.

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
        """Queue a job; False when its client has too many queued."""
        jobs = self._waiting.setdefault(client, deque())
        if len(jobs) >= self._most:
            return False
        jobs.append(job)
        return True

    def next(self) -> T | None:
        """Remove and return the next job; None when there is none."""
        if not self._waiting:
            return None
        client = next(iter(self._waiting))
        jobs = self._waiting.pop(client)
        job = jobs.popleft()
        if jobs:
            self._waiting[client] = jobs  # behind all others
        return job
