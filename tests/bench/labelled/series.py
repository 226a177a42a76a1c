"""A series of rows with the events that a detector should find in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Event:
    """Rows ``first`` to ``last``, both included, hold an anomaly of this ``kind`` (empty: not named)."""

    first: int
    last: int
    kind: str = ""


@dataclass(frozen=True)
class Series:
    """``values`` [n] of windows that begin at ``starts`` [n] (epoch ms), ``interval`` seconds long each."""

    name: str
    interval: int
    starts: Times
    values: Floats
    events: tuple[Event, ...] = ()

    @property
    def ends(self) -> Times:
        """The ends of the windows (epoch ms)."""
        return self.starts + 1000 * self.interval
