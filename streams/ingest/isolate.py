"""The last line of defence: a record that makes the decoder raise is set apart, instead of stopping the worker.

Every known oddity of a record has a reason of its own. This is for what nobody has thought of: without it one record
would end every worker that reads it, again after each start, and take all other topics with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from streams.formats.written_schema import SchemasWanted

if TYPE_CHECKING:
    from streams.ingest.points import Origin

log = structlog.get_logger()

T = TypeVar("T")


def isolate(records: Sequence[Any], decode: Callable[[Sequence[Any]], T], alone: Callable[[Any], T]) -> list[T]:
    """What ``decode`` makes of the records, in order: of all at once, or of parts around those that it raises for.

    ``alone`` takes these, one by one. Parts are found by halving, so that a few such records cost little. What is no
    fault of a record is raised: exhausted memory, ``SchemasWanted``, and whatever ``decode`` raises for no records at
    all.

    >>> isolate([1, 2, 0, 4], lambda part: [8 // each for each in part], lambda record: f"not {record}")
    [[8, 4], 'not 0', [2]]
    """
    found: list[T] = []
    waiting = [records]
    while waiting:
        part = waiting.pop()
        try:
            found.append(decode(part))
        except (MemoryError, SchemasWanted):
            raise
        except Exception:
            if not part:
                raise
            if len(part) == 1:
                found.append(alone(part[0]))
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
    return found


class Faults:
    """Reports exceptions to the log with their traceback, the first of each type and topic.

    No more: a producer may send nothing but such records.
    """

    def __init__(self) -> None:
        self._reported: set[tuple[str, type[Exception]]] = set()

    def report(self, error: Exception, origin: Origin) -> None:
        """Log what decoding the first record of ``origin`` raised. It is dead-lettered in any case."""
        kind = (origin.topic, type(error))
        if kind not in self._reported:
            self._reported.add(kind)
            log.error(
                "record can't be decoded, which is a fault of Riverwatch: it is dead-lettered",
                topic=origin.topic,
                partition=origin.partition,
                offset=origin.records[0].offset,
                exc_info=error,
            )
