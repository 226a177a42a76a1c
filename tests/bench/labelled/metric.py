"""What alarms are worth to an operator: events found, and pages that led nowhere.

An event is found when a row alarms within it, one row before it, or up to five rows after it. A page is the first
alarm together with all that follow within an hour (at least 5, at most 60 rows), so an alarm that never ends pages
every hour; it is wrong when none of its alarms lies in an event, with the same tolerance. The first rows (500, at most
a tenth of the series) are not scored, and events that end among them don't count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.bench.labelled.series import Flags, Series, Times

BEFORE, AFTER = 1, 5
WARM_UP, WARM_UP_SHARE = 500, 0.1
HOUR = 3600
LEAST_PAGE, LONGEST_PAGE = 5, 60


@dataclass
class Tally:
    """Sums over series. ``found`` and ``events`` are counts by kind, ``rows`` those scored outside of events."""

    found: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    rows: int = 0

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        for mine, theirs in ((self.found, other.found), (self.events, other.events)):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        self.wrong += other.wrong
        self.rows += other.rows

    @property
    def recall(self) -> float:
        """The share of events found; NaN without events."""
        events = sum(self.events.values())
        return sum(self.found.values()) / events if events else float("nan")

    @property
    def precision(self) -> float:
        """Events found among those and the wrong pages; NaN without events."""
        found = sum(self.found.values())
        return float("nan") if not self.events else found / (found + self.wrong) if found + self.wrong else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision; NaN without events."""
        total = self.recall + self.precision
        return 2 * self.recall * self.precision / total if total else total

    @property
    def false_pages(self) -> float:
        """Wrong pages for each 10,000 rows outside of events."""
        return 1e4 * self.wrong / max(1, self.rows)

    def recall_of(self, kind: str) -> float:
        """The share of the events of one kind that were found."""
        return self.found.get(kind, 0) / self.events[kind] if self.events.get(kind) else float("nan")


def pages(alarm: Flags, interval: int) -> list[Times]:
    """The rows of each page.

    >>> [page.tolist() for page in pages(np.isin(np.arange(40), [3, 4, 8, 9, 30]), 3600)]
    [[3, 4, 8], [9], [30]]
    """
    longest = int(np.clip(HOUR // max(1, interval), LEAST_PAGE, LONGEST_PAGE))
    rows = np.flatnonzero(alarm)
    out = []
    while len(rows):
        inside = rows <= rows[0] + longest
        out.append(rows[inside])
        rows = rows[~inside]
    return out


def tally(series: Series, alarm: Flags, scored: slice | None = None) -> Tally:
    """Count the events found and the wrong pages among the ``scored`` rows (default: those after the warm-up)."""
    n = len(series.values)
    scored = scored or slice(int(min(WARM_UP, WARM_UP_SHARE * n)), n)
    first, end = scored.start, min(n, scored.stop)
    heard = np.zeros(n, np.bool_)
    heard[first:end] = alarm[first:end]
    near = np.zeros(n, np.bool_)
    result = Tally()
    for event in series.events:
        if event.last < first or event.first >= end:
            continue
        reach = slice(max(first, event.first - BEFORE), event.last + AFTER + 1)
        near[reach] = True
        result.events[event.kind] = result.events.get(event.kind, 0) + 1
        result.found[event.kind] = result.found.get(event.kind, 0) + int(heard[reach].any())
    result.wrong = sum(not near[page].any() for page in pages(heard, series.interval))
    result.rows = int((~near[first:end]).sum())
    return result


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    result = Tally()
    for one in tallies:
        result.add(one)
    return result


def macro(tallies: Sequence[Tally]) -> tuple[float, float]:
    """The mean F1 over sets that have events, and the mean of false pages over all sets."""
    scored = [one.f1 for one in tallies if one.events]
    return float(np.mean(scored)) if scored else float("nan"), float(np.mean([one.false_pages for one in tallies]))
