"""Cutting what is written to Kafka into records that it takes.

A broker refuses a record above the topic's ``max.message.bytes`` for good. One window of a million entities, or of
some thousands with the sketches of percentiles, is larger than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from schemas.partial import NO_WINDOW, Partial, WindowPart
from streams.features.columns import Column

Rows = tuple[list[str], list[bytes]]
"""Entities and their accumulators, as they travel: bytes, one a column."""


def size(entities: Sequence[str], data: Sequence[bytes]) -> int:
    """About how many bytes these rows take in a record.

    >>> size(["a", "bc"], [b"12345678" * 2]), size(["東京"], [b"12345678"])
    (25, 17)
    """
    return sum(map(_weight, entities)) + sum(map(len, data))


def _weight(entity: str) -> int:
    """The bytes of an entity in a record, with the length that stands before it."""
    return (len(entity) if entity.isascii() else len(entity.encode())) + 3


def cut(entities: list[str], data: list[bytes], columns: Sequence[Column], most: int) -> Iterator[Rows]:
    """The rows in their order, in pieces of about ``most`` bytes; a single row is never cut."""
    if size(entities, data) <= most:
        yield entities, data
        return
    sizes = [column.sizes(each) for column, each in zip(columns, data, strict=True)]
    weights = np.fromiter(map(_weight, entities), np.int64, len(entities)) + sum(sizes)
    ends = [np.concatenate([[0], np.cumsum(each)]) for each in sizes]
    number = (np.cumsum(weights) - weights) // most
    for start, stop in pairwise([0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(weights)]):
        yield entities[start:stop], [each[end[start] : end[stop]] for end, each in zip(ends, data, strict=True)]


def joined(pieces: Sequence[Rows]) -> Rows:
    """What ``cut`` made pieces of."""
    if len(pieces) == 1:
        return pieces[0]
    entities = [entity for piece, _ in pieces for entity in piece]
    return entities, [b"".join(column) for column in zip(*(data for _, data in pieces), strict=True)]


def cut_partial(whole: Partial, columns: Sequence[Column], most: int) -> Iterator[Partial]:
    """A partial as records of about ``most`` bytes, to be sent in this order.

    Only the last one says all that ``whole`` says: until it has come, a window that was cut is not closed.
    """
    windows: list[WindowPart] = []
    weight = 0
    complete = NO_WINDOW
    for window in whole.windows:
        pieces = list(cut(window.entities, window.columns, columns, most))
        for number, (entities, data) in enumerate(pieces):
            more = size(entities, data)
            if windows and weight + more > most:
                until = min(complete, whole.closed_until)
                yield msgspec.structs.replace(
                    whole, closed_until=until, idle=False, caught_up=False, finished=False, windows=windows
                )
                windows, weight = [], 0
            windows.append(WindowPart(window.end, entities, data, number))
            weight += more
        complete = window.end
    yield msgspec.structs.replace(whole, windows=windows)
