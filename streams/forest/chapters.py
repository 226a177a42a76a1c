"""When a model learns: after its event 32, 64, 128 and so on up to a full window, then every half window.

Everything learned changes only there. Events of one chapter are therefore independent of each other, whoever
they belong to and however they are cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from schemas.task import ROWS_TO_INIT
from streams.forest.arrays import Int64Array

FIRST = ROWS_TO_INIT
"""Events in the first chapter: a model gives no score before it ends."""


@dataclass(frozen=True)
class Chapters:
    """The chapters of a model with this ``window``, an even number: every other chapter fills it anew."""

    window: int

    @property
    def length(self) -> int:
        """Events in a chapter, once the window is full; no chapter is longer."""
        return self.window // 2

    @cached_property
    def _early(self) -> Int64Array:
        ends = [0, FIRST]
        while 2 * ends[-1] < self.window:
            ends.append(2 * ends[-1])
        return np.array(ends)

    @cached_property
    def _early_ends(self) -> Int64Array:
        return np.append(self._early, [self.window, self.window])

    def of(self, event: Int64Array) -> Int64Array:
        """The chapter to which a model's event number ``event`` (from 0) belongs.

        >>> Chapters(250).of(np.array([0, 31, 32, 127, 128, 249, 250, 374, 375]))
        array([0, 0, 1, 2, 3, 3, 4, 4, 5])
        """
        early = np.searchsorted(self._early, event, side="right") - 1
        return np.where(event < self.window, early, len(self._early) + (event - self.window) // self.length)

    def length_after(self, count: Int64Array) -> Int64Array:
        """How many events the chapter has that begins when ``count`` events were seen.

        >>> Chapters(250).length_after(np.array([0, 32, 128, 250, 375]))
        array([ 32,  32, 122, 125, 125])
        """
        place = np.searchsorted(self._early, np.minimum(count, self.window), side="right")
        return np.where(count < self.window, self._early_ends[place] - count, self.length)
