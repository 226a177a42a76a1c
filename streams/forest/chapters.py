"""When a model learns: after its event 32, 64, 128, and from one full window on after every half window.

Everything learned changes only there. Events of one chapter are therefore independent of each other, whoever
they belong to and however they are cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import Int64Array


@dataclass(frozen=True)
class Chapters:
    """The chapters of a model with this ``window``; ``early`` are the ends before the first full window."""

    window: int
    early: tuple[int, ...] = (32, 64, 128)

    @property
    def length(self) -> int:
        """Events in a chapter, once the window is full."""
        return self.window // 2

    def of(self, event: Int64Array) -> Int64Array:
        """The chapter to which a model's event number ``event`` (from 0) belongs.

        >>> Chapters(250).of(np.array([0, 31, 32, 127, 128, 249, 250, 374, 375]))
        array([0, 0, 1, 2, 3, 3, 4, 4, 5])
        """
        ends = np.array([end for end in self.early if end < self.window])
        early = np.searchsorted(ends, event, side="right")
        return np.where(event < self.window, early, len(ends) + 1 + (event - self.window) // self.length)

    def ends_with(self, count: Int64Array) -> Int64Array:
        """Nonzero where a model that has seen ``count`` events has just finished a chapter."""
        return self.of(count) - self.of(count - 1)

    def length_before(self, count: Int64Array) -> Int64Array:
        """How many events the chapter had that ended when ``count`` events were seen.

        >>> Chapters(250).length_before(np.array([32, 128, 250, 375]))
        array([ 32,  64, 122, 125])
        """
        ends = np.array([0, *(end for end in self.early if end < self.window)])
        previous = ends[np.searchsorted(ends, np.minimum(count, self.window), side="left") - 1]
        return np.where(count > self.window, self.length, count - previous)
