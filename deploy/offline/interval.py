"""How far apart the rows of a file usually are: the length of a window when none is given. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

INTERVALS = tuple(
    1000 * seconds
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
)
"""Lengths of windows in ms that are found."""

TOLERANCE = 0.99
"""Rows that are meant to be a minute apart are a bit less at times."""


def usual_gap(times: Int64Array, entities: Int64Array) -> float | None:
    """The median of the ms between two times of an entity; None where no entity has two.

    >>> usual_gap(np.array([0, 5, 60, 120]), np.array([0, 1, 0, 0]))
    60.0
    """
    order = np.lexsort((times, entities))
    times, entities = times[order], entities[order]
    gaps = np.diff(times)[(np.diff(entities) == 0) & (np.diff(times) > 0)]
    return float(np.median(gaps)) if len(gaps) else None


def interval_of(gap: float) -> int:
    """The shortest of ``INTERVALS`` in which there usually is a row.

    >>> interval_of(60_000.0), interval_of(61_000.0)
    (60000, 120000)
    """
    return next((interval for interval in INTERVALS if interval >= TOLERANCE * gap), INTERVALS[-1])


def complete_until(newest: int, gap: float | None, interval: int) -> int:
    """The end of the last window that is over: one in which another row was still to be expected is not.

    >>> complete_until(3_300_000, 300_000.0, 3_600_000), complete_until(3_000_000, 300_000.0, 3_600_000)
    (3600000, 0)
    """
    return int(newest + (gap or 0) / TOLERANCE) // interval * interval
