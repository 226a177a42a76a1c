"""Oddness that lasts: the mean score of a model's last 32 rows, for which it has a threshold of its own.

One row that is a little odd is nothing; dozens of them in a row are. Their mean wavers far less than single scores do,
so that it stands out of what chapters usually reach long before a single row does. Scores are counted in whole
eighths of a bit: then a running sum is exact, however the rows were cut into batches.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int16Array, Int32Array, Int64Array, UInt8Array
from streams.forest.log2 import STEP

ROWS = 32
"""Rows that the mean is taken of."""

UNIT = 2.0**-3
"""Scores up to 31 bits fill a byte of these."""

STEPS = round(UNIT / STEP)


def units(scores: Int16Array) -> Int64Array:
    """Scores in steps of 2^-10 as whole units.

    >>> units(np.array([0, 1024, 1090, 31 * 1024], np.int16)).tolist()
    [0, 8, 9, 248]
    """
    return (scores.astype(np.int64) + STEPS // 2) // STEPS


def running(first: BoolArray, own: Int64Array, leaving: Int64Array, rows: Int64Array, sums: Int32Array) -> Float64Array:
    """The mean of each event's last ``ROWS`` scores, its own among them. Moves ``sums`` [models], in place.

    The events of a model ``rows`` [n] follow each other, the ``first`` of each is marked; ``own`` [n] are their
    scores in units, ``leaving`` [n] those of the events ``ROWS`` before.
    """
    gained = np.cumsum(own - leaving)
    start = np.flatnonzero(first)
    before = gained[start] - (own - leaving)[start]
    total = gained - np.repeat(before, np.diff(np.append(start, len(rows)))) + sums[rows]
    last = np.append(start[1:], len(rows)) - 1
    sums[rows[last]] = total[last]
    return total * (UNIT / ROWS)


def of_chapter(earlier: UInt8Array, scores: Int16Array) -> Float64Array:
    """The means [m, n] at the rows of chapters with these ``scores`` [m, n], ``earlier`` [m, ROWS] being before.

    >>> of_chapter(np.full((1, ROWS), 8, np.uint8), np.full((1, 2), 5 * 1024, np.int16)).tolist()
    [[1.125, 1.25]]
    """
    total = np.cumsum(np.concatenate([earlier.astype(np.int64), units(scores)], axis=1), axis=1)
    total[:, ROWS:] -= total[:, :-ROWS].copy()
    return total[:, ROWS:] * (UNIT / ROWS)
