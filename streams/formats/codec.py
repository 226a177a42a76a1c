"""What every format of records has in common: bytes and headers in, points out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Headers = Sequence[tuple[str, bytes | None]]
Point = Mapping[str, Any]


class Unreadable(ValueError):
    """Bytes that are none of the format's; the text says why."""


class Codec(Protocol):
    """One format. Pure: the same bytes and headers give the same points."""

    def read(self, value: bytes, headers: Headers) -> bytes | Sequence[Point | Unreadable]:
        """The points of a record, in place of each bad one what is wrong with it; or the JSON that it holds.

        Values are those that JSON has, numbers finite, known times epoch ms. Raises ``Unreadable``.
        """
        ...
