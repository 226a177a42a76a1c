"""What a record that can't be read leads to, wherever a topic of Riverwatch's own is folded: it is skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()


class Unreadable:
    """Skips records that can't be read: counts them by topic, and logs the first of each kind.

    Anybody may have written anything to a topic, and a worker that fails on a record fails on it again after every
    restart. The counts are of this process.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: set[tuple[str, str]] = set()

    @contextmanager
    def skipping(self, topic: str, offset: int) -> Iterator[None]:
        """Run a block that reads one record; whatever it raises is the record's fault. It must change nothing before
        it has read all of it."""
        try:
            yield
        except Exception as error:
            self.counts[topic] += 1
            kind = (topic, type(error).__name__)
            if kind not in self._logged:
                self._logged.add(kind)
                log.error("skipped a record that can't be read", topic=topic, offset=offset, error=repr(error)[:500])
