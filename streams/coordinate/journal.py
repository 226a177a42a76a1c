"""Where the coordinator reads its state from and writes it to, all of a batch or nothing.

A coordinator that has lost its partition (it was paused, or cut off) must change nothing any more: whoever opens the
journal fences the one who did so before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from schemas.errors import RiverwatchError


class JournalUnavailable(RiverwatchError):
    """The journal can't be opened or read now. The message says what to do where that is known."""


class JournalLost(RiverwatchError):
    """A transaction did not come about, or it is not known whether it did: the journal must be opened and read anew.

    ``refused`` says that one of the records can't be written, and could not be another time.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Held(NamedTuple):
    """A record that the journal holds; ``topic`` is the name without prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    offset: int


class Entry(NamedTuple):
    """A record to write: ``topic`` is the name without prefix, ``partition`` -1 leaves it to the key."""

    topic: str
    key: bytes | str | None
    value: bytes | None
    partition: int = -1
    headers: list[tuple[str, bytes]] | None = None


class Journal(Protocol):
    """The topics that the coordinator writes, as one. All methods block."""

    def open(self) -> None:
        """Become the one who writes: whoever did so before can't any more. Raises ``JournalUnavailable``."""
        ...

    def read(self) -> Iterator[Held]:
        """All that the topics detectors and state hold. Raises ``JournalUnavailable``."""
        ...

    def commit(self, entries: Sequence[Entry], replies: Callable[[Sequence[int]], Sequence[Entry]]) -> list[int]:
        """Write the entries, and then the replies that are made from their offsets, in one transaction.

        Returns the offsets of the entries. Raises ``JournalLost``: the journal must then be opened anew.
        """
        ...

    def close(self) -> None:
        """Wait no longer for anything, in whichever thread."""
        ...
