"""Percentiles of a window: histograms whose precision gives way as they fill.

The library's own sketches don't do here. KLL and REQ draw random bits, and a t-digest depends on the order of the
records and on when it was written to bytes: the same records would not lead to the same results after a restart.
This one depends on nothing but the values. It is the uniform collapse of UDDSketch (Epicoco et al. 2020) on the
bits of the numbers themselves: a row keeps its distinct values and how often each was there; when they are more
than ``MOST_BUCKETS``, the last bits of all its values are cut off, as many as need be and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streams.features.columns import Input

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MOST_BUCKETS = 1024

_FEW = 32_768
"""Values that may wait before they are sorted in, so that small batches do not sort everything each time."""

_MOST_BITS = 54
"""All doubles together are no more than ``MOST_BUCKETS`` without these."""

_SIGN = np.int64(63)
_REST = np.int64(0x7FFF_FFFF_FFFF_FFFF)
_LARGEST = int(np.float64(np.finfo(np.float64).max).view(np.int64))


@dataclass
class Histograms:
    """Buckets of all rows, sorted by row and value; ``dropped`` is how many bits each row has cut off.

    A key is a double's bits, reordered so that keys compare as the numbers do.
    """

    size: int
    rows: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    keys: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    dropped: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    waiting: list[tuple[Int64Array, Int64Array]] = field(default_factory=list)
    number_waiting: int = 0

    def __post_init__(self) -> None:
        if not len(self.dropped):
            self.dropped = np.zeros(self.size, np.int64)

    def add(self, rows: Int64Array, keys: Int64Array) -> None:
        """Take in values."""
        self.waiting.append((rows, keys))
        self.number_waiting += len(rows)
        if self.number_waiting > max(_FEW, len(self.rows)):
            self.settle()

    def settle(self) -> Histograms:
        """Sort in what waits. When that happens changes nothing but the time that it takes."""
        if self.waiting:
            rows = np.concatenate([self.rows, *(rows for rows, _ in self.waiting)])
            keys = np.concatenate([self.keys, *(keys for _, keys in self.waiting)])
            counts = np.concatenate([self.counts, np.ones(self.number_waiting, np.int64)])
            self.waiting, self.number_waiting = [], 0
            self.set(rows, keys, counts)
        return self

    def set(self, rows: Int64Array, keys: Int64Array, counts: Int64Array) -> None:
        """Take these buckets, in any order and with any precision from ``dropped`` on."""
        keys = self._cut(keys, self.dropped[rows])
        order = np.lexsort((keys, rows))
        self._set_sorted(rows[order], keys[order], counts[order])
        over = np.bincount(self.rows, minlength=self.size) > MOST_BUCKETS
        if over.any():
            self._drop(over)
            self._set_sorted(self.rows, self._cut(self.keys, self.dropped[self.rows]), self.counts)

    @staticmethod
    def _cut(keys: Int64Array, bits: Int64Array) -> Int64Array:
        return keys >> bits << bits

    def _set_sorted(self, rows: Int64Array, keys: Int64Array, counts: Int64Array) -> None:
        first = _changes(rows, keys)
        self.rows, self.keys = rows[first], keys[first]
        self.counts = np.add.reduceat(counts, np.flatnonzero(first)) if len(counts) else counts

    def _drop(self, over: BoolArray) -> None:
        """The fewest bits that bring each of these rows down to ``MOST_BUCKETS``: bisection, all rows at once."""
        affected = over[self.rows]
        rows, keys = self.rows[affected], self.keys[affected]
        low = self.dropped.copy()
        high = np.where(over, _MOST_BITS, low)
        while (open_ := high - low > 1).any():
            middle = np.where(open_, (low + high) // 2, high)
            many = np.bincount(rows[_changes(rows, keys >> middle[rows])], minlength=self.size) > MOST_BUCKETS
            low = np.where(open_ & many, middle, low)
            high = np.where(open_ & ~many, middle, high)
        self.dropped = high


def _changes(rows: Int64Array, keys: Int64Array) -> BoolArray:
    """Where sorted buckets differ from the one before."""
    changes = np.ones(len(rows), bool)
    changes[1:] = (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])
    return changes


def _keys(values: Float64Array) -> Int64Array:
    # Adding 0.0 makes a negative zero a positive one: they are one value.
    bits = (values + 0.0).view(np.int64)
    return bits ^ ((bits >> _SIGN) & _REST)


@dataclass(frozen=True)
class QuantileColumn:
    """Histograms of values.

    Exact while a row has at most 1024 distinct values. Beyond, a percentile is off by at most ``1 / 1024`` of itself
    for each octave (doubling) between the least and the greatest value: 0.4 % for values within a factor of ten,
    1.1 % within a factor of a thousand. A row takes 16 bytes a bucket, at most 16 KB.
    """

    input: Input

    def empty(self, size: int) -> Histograms:
        """As ``Column``."""
        return Histograms(size)

    def extended(self, accumulators: Histograms, size: int) -> Histograms:
        """As ``Column``."""
        more = np.zeros(size - accumulators.size, np.int64)
        accumulators.dropped = np.concatenate([accumulators.dropped, more])
        accumulators.size = size
        return accumulators

    def taken(self, accumulators: Histograms, rows: Int64Array) -> Histograms:
        """As ``Column``."""
        settled = accumulators.settle()
        number = np.full(settled.size, -1)
        number[rows] = np.arange(len(rows))
        new = number[settled.rows]
        order = np.argsort(new, kind="stable")
        order = order[np.searchsorted(new[order], 0) :]
        buckets = new[order], settled.keys[order], settled.counts[order]
        return Histograms(len(rows), *buckets, settled.dropped[rows])

    def fold(self, accumulators: Histograms, rows: Int64Array, values: Float64Array) -> None:
        """As ``Column``."""
        known = ~np.isnan(values)
        if known.any():
            accumulators.add(rows[known], _keys(values[known]))

    def merged(self, size: int, parts: Sequence[tuple[Int64Array, Histograms]]) -> Histograms:
        """As ``Column``."""
        merged = Histograms(size)
        settled = [(rows, part.settle()) for rows, part in parts]
        for rows, part in settled:
            merged.dropped[rows] = np.maximum(merged.dropped[rows], part.dropped)
        none = np.empty(0, np.int64)
        merged.set(
            np.concatenate([none, *(rows[part.rows] for rows, part in settled)]),
            np.concatenate([none, *(part.keys for _, part in settled)]),
            np.concatenate([none, *(part.counts for _, part in settled)]),
        )
        return merged

    def to_bytes(self, accumulators: Histograms) -> bytes:
        """Words of 64 bits: for each row how many buckets and dropped bits, then the keys, then the counts."""
        settled = accumulators.settle()
        buckets = np.bincount(settled.rows, minlength=settled.size)
        words = 1 + 2 * buckets
        starts = np.cumsum(words) - words
        out = np.empty(int(words.sum()), "<i8")
        out[starts] = buckets | settled.dropped << 32
        at = _positions(starts, buckets)
        out[at] = settled.keys
        out[at + np.repeat(buckets, buckets)] = settled.counts
        return out.tobytes()

    def from_bytes(self, data: bytes) -> Histograms:
        """As ``Column``."""
        words = np.frombuffer(data, "<i8")
        sizes = self.sizes(data) // 8
        buckets = sizes // 2
        starts = np.cumsum(sizes) - sizes
        at = _positions(starts, buckets)
        rows = np.repeat(np.arange(len(sizes)), buckets)
        counts = words[at + np.repeat(buckets, buckets)]
        return Histograms(len(sizes), rows, words[at], counts, words[starts] >> 32)

    def sizes(self, data: bytes) -> Int64Array:
        """As ``Column``."""
        words = memoryview(data).cast("q")
        sizes = []
        at = 0
        while at < len(words):
            sizes.append(1 + 2 * (words[at] & 0xFFFF_FFFF))
            at += sizes[-1]
        return 8 * np.array(sizes, np.int64)

    @staticmethod
    def percentiles(accumulators: Histograms, percent: float) -> Float64Array:
        """The percentile of each row, interpolated between neighbours; NaN for a row without a value.

        >>> column = QuantileColumn(Input("latency"))
        >>> histograms = column.empty(2)
        >>> column.fold(histograms, np.zeros(4, int), np.array([10.0, 40.0, 20.0, 30.0]))
        >>> column.percentiles(histograms, 50)
        array([25., nan])
        """
        settled = accumulators.settle()
        return _quantiles(settled, _values(settled), settled.counts, percent / 100)

    @staticmethod
    def median_absolute_deviations(accumulators: Histograms) -> Float64Array:
        """For each row the median of the distances from its median; NaN for a row without a value.

        >>> column = QuantileColumn(Input("latency"))
        >>> histograms = column.empty(2)
        >>> column.fold(histograms, np.zeros(5, int), np.array([1.0, 2.0, 3.0, 5.0, 99.0]))
        >>> column.median_absolute_deviations(histograms)
        array([ 2., nan])
        """
        settled = accumulators.settle()
        values = _values(settled)
        distances = np.abs(values - _quantiles(settled, values, settled.counts, 0.5)[settled.rows])
        order = np.lexsort((distances, settled.rows))
        return _quantiles(settled, distances[order], settled.counts[order], 0.5)


def _values(settled: Histograms) -> Float64Array:
    """The value that stands for each bucket: its middle."""
    bits = settled.dropped[settled.rows]
    middles = np.clip(settled.keys + (np.int64(1) << bits >> 1), -_LARGEST - 1, _LARGEST)
    return (middles ^ ((middles >> _SIGN) & _REST)).view(np.float64)


def _quantiles(settled: Histograms, values: Float64Array, counts: Int64Array, share: float) -> Float64Array:
    """The value of each row below which a share of its values lies, interpolated. Each row's values are sorted."""
    ends = np.cumsum(counts)
    last = np.searchsorted(settled.rows, np.arange(settled.size), side="right")
    upto = np.concatenate([[0], ends])[last]
    totals = np.diff(upto, prepend=0)
    found = np.full(settled.size, np.nan)
    some = totals > 0
    rank = share * (totals[some] - 1)
    low = np.floor(rank).astype(np.int64)
    base = (upto - totals)[some]
    one = values[np.searchsorted(ends, base + low, side="right")]
    next_ = values[np.searchsorted(ends, base + np.minimum(low + 1, totals[some] - 1), side="right")]
    weight = rank - low
    found[some] = one * (1 - weight) + next_ * weight
    return found


def _positions(starts: Int64Array, buckets: Int64Array) -> Int64Array:
    """Where the keys of each row's buckets stand, given where the row starts."""
    first = np.repeat(starts + 1, buckets)
    return first + np.arange(len(first)) - np.repeat(np.cumsum(buckets) - buckets, buckets)
