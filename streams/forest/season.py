"""What is usual at this time of the day: half-space trees do not see time.

Each feature keeps a profile: how far values lie from their level in each *bin* of the day, and how weekdays and
weekends each differ from that, in bins of twice the length. Between the middles of two bins the profile runs straight.
A young bin leans on 0, so a series without a season is not made noisier. How far values usually lie from their forecast
is kept by the hour in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from streams.forest.arrays import BoolArray, Float32Array, Float64Array, Int64Array, UInt16Array

MOST_BINS = 96
FEW_BINS = 39
"""A profile of fewer bins is coarse: then bins are as many as there may be, though rows of a day fill them unevenly."""

HOURS = 24

MOST_SLOTS = 1 << 14
WEEKEND = 1 << 14
PROTECTED = 1 << 15
"""Bits of a mark: below them is the slot of the day, the time of a row in steps of a day's rows."""

LEANING = 1.0
TYPE_LEANING = 1.5
HOUR_LEANING = 8.0
"""Rows that what is leaned on counts for: in bins of the day, in those of its type, and for the spread of an hour."""

MEMORY = 240.0
HOUR_MEMORY = 100.0
"""Rows of its own after which a bin, or the spread of an hour, has moved half way."""

MOST_WEIGHT = (1 << 16) - 1

_DAY_MS = 86_400_000
_QUARTER_MS = 900_000
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday.


@dataclass(frozen=True)
class Day:
    """How a day is divided: into ``slots`` for the time of rows, ``bins`` of the profile, ``halves`` of a type's."""

    slots: int
    bins: int
    halves: int
    hours: int

    @classmethod
    def of(cls, interval: int, seasonality: bool = True) -> Day:
        """The day of windows of ``interval`` seconds. Bins hold equally many rows where that leaves enough of them.

        >>> Day.of(300), Day.of(600).bins, Day.of(3600).bins, Day.of(86_400).bins
        (Day(slots=288, bins=96, halves=48, hours=24), 72, 24, 1)
        """
        rows = max(1, round(86_400 / interval))
        slots = rows // -(-rows // MOST_SLOTS)
        if not seasonality:
            return cls(slots, 0, 0, 0)
        even = max(bins for bins in range(1, MOST_BINS + 1) if slots % bins == 0)
        bins = even if even >= FEW_BINS else min(MOST_BINS, slots)
        return cls(slots, bins, max(1, bins // 2), HOURS)

    @property
    def levels(self) -> int:
        """Bins of the day, of weekdays and of weekends together: in this order they lie in a profile."""
        return self.bins + 2 * self.halves


def marks(ends: Int64Array, interval: int, day: Day, zone: str) -> UInt16Array:
    """Slot and type of day in which the middles of windows lie that end at ``ends`` (epoch ms), in the time zone.

    >>> marks(np.array([3_600_000, 2 * 86_400_000 + 3_600_000]), 3600, Day.of(3600), "UTC").tolist()
    [0, 16384]
    >>> marks(np.array([3_600_000]), 3600, Day.of(3600), "Europe/Berlin").tolist()
    [1]
    """
    middle = ends - 500 * interval
    local = middle + _offsets(middle, zone) if zone != "UTC" else middle
    slot = local % _DAY_MS * day.slots // _DAY_MS
    weekend = (local // _DAY_MS + _EPOCH_WEEKDAY) % 7 >= 5
    return (slot + WEEKEND * weekend).astype(np.uint16)


def _offsets(times: Int64Array, zone: str) -> Int64Array:
    # No zone has ever changed its clocks within a quarter of an hour of UTC since computers count time.
    quarters, place = np.unique(times // _QUARTER_MS, return_inverse=True)
    return np.array([_offset(int(quarter), zone) for quarter in quarters], np.int64)[place]


@lru_cache(maxsize=1 << 14)
def _offset(quarter: int, zone: str) -> int:
    moment = datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, UTC).astimezone(ZoneInfo(zone))
    offset = moment.utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def between(
    table: Float32Array, model: Int64Array, marks: UInt16Array, day: Day, first: int | Int64Array, bins: int
) -> Float64Array:
    """The value [n, d] of the cyclic ``bins`` of ``table`` [models, bins, d] from ``first`` on, at the marked times."""
    place = (marks % MOST_SLOTS + 0.5) * bins / day.slots - 0.5
    low = np.floor(place)
    share = (place - low)[:, None]
    below = low.astype(np.int64)
    a = table[model, first + (below + bins) % bins].astype(np.float64)
    b = table[model, first + (below + 1) % bins].astype(np.float64)
    return a + share * (b - a)


def usual(levels: Float32Array, model: Int64Array, marks: UInt16Array, day: Day) -> Float64Array | float:
    """How far values [n, d] usually lie from the level at the marked times, by profiles [models, bins, d]."""
    if not day.bins:
        return 0.0
    of_type = day.bins + ((marks & WEEKEND) > 0).astype(np.int64) * day.halves
    of_day = between(levels, model, marks, day, 0, day.bins)
    return of_day + between(levels, model, marks, day, of_type, day.halves)


def bins_of(marks: UInt16Array, day: Day, bins: int) -> Int64Array:
    """In which of ``bins`` the marked times lie; in the last one what is beyond the day, in a damaged record."""
    return np.minimum((2 * (marks.astype(np.int64) % MOST_SLOTS) + 1) * bins // (2 * day.slots), bins - 1)


@dataclass(frozen=True)
class Leaning:
    """How bins lean on what is known without them: on ``before`` [models, d] until now, on ``after`` from now on, as
    on ``rows`` rows. What they learn is forgotten after ``memory`` rows; they are never below ``least``."""

    rows: float
    memory: float
    least: float = -np.inf
    before: Float64Array | float = 0.0
    after: Float64Array | float = 0.0


def learn(
    table: Float32Array,
    weights: UInt16Array,
    bins: Int64Array,
    values: Float64Array,
    use: BoolArray,
    leaning: Leaning,
    farthest: float,
) -> None:
    """Move the bins of ``table`` [models, bins, d] by a chapter's ``values`` [models, rows, d], in place.

    ``weights`` [models, bins, d] are the rows that each has seen; ``bins`` [models, rows] says where rows lie, ``use``
    [models, rows, d] which values count. The table holds what leans already; it is set upright, moved and leaned again.
    """
    models, width, features = table.shape
    place = (np.arange(models)[:, None] * width + bins)[:, :, None] * features + np.arange(features)
    count = np.bincount(place[use], minlength=table.size).reshape(table.shape)
    mean = np.bincount(place[use], values[use], minlength=table.size).reshape(table.shape) / np.maximum(count, 1)
    weight = weights.astype(np.float64)
    before = leaning.before if isinstance(leaning.before, float) else leaning.before[:, None]
    after = leaning.after if isinstance(leaning.after, float) else leaning.after[:, None]
    upright = (table * (weight + leaning.rows) - before * leaning.rows) / np.maximum(weight, 1.0)
    # Leaning on much more than it is itself, a small number is lost to rounding: a spread could become negative.
    upright = np.where(weight > 0, np.maximum(upright, leaning.least), 0.0)
    weight = np.minimum(weight + count, float(MOST_WEIGHT))
    share = np.maximum(count / np.maximum(weight, 1.0), count / (count + leaning.memory))
    upright = upright + share * (mean - upright)
    leaned = (upright * weight + after * leaning.rows) / (weight + leaning.rows)
    table[:] = np.minimum(np.maximum(leaned, -farthest), farthest)
    weights[:] = weight
