"""The state of the default model, as rows of arrays: all that is kept between two calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import (
    BoolArray,
    Float32Array,
    Float64Array,
    Int16Array,
    Int64Array,
    UInt8Array,
)
from streams.forest.chapters import Chapters
from streams.forest.derive import LAGS
from streams.forest.season import HOURS
from streams.forest.spec import ForestSpec
from streams.forest.table import Table
from streams.forest.threshold import EMPTY, NEVER, PEAKS

CHANGE, MEAN, GAP = range(1, 4)
"""Columns of a feature, after the value itself: its change, its short mean, its gap from what is usual."""


def columns_of(spec: ForestSpec) -> int:
    """How many columns the trees see of one feature."""
    return 4 if spec.seasonality else 3


@dataclass
class Models(Table):
    """One row a model; d features, k columns a feature, w rows in the window."""

    count: Int64Array
    """Events learned."""
    recent: Float64Array
    """[LAGS, d] the values before the next one, the latest first; gaps are filled with what was before."""
    origin: Float64Array
    """[d] what ``window`` is relative to: float32 would lose the changes of a large value."""
    window: Float32Array
    """[w, d] the latest values, in the place of their number modulo w; NaN for missing and protected ones."""
    hours: UInt8Array
    """[w] the hour of each of them."""
    scores: Int16Array
    """[w / 2] the scores of the current chapter, in steps of 2^-10."""
    levels: Float64Array
    """[24, d] the mean of each hour of the day."""
    hour_weights: Float64Array
    """[24, d] how many rows each of them has seen."""
    base: Float64Array
    """[d, k] what is mapped to 0 before a value is given to the trees, and"""
    gain: Float64Array
    """[d, k] how much a unit then counts."""
    neutral: Int16Array
    """[d, k] the cell of the median, for what is missing."""
    mean: Float64Array
    """[d, k] slowly moving mean, and"""
    variance: Float64Array
    """[d, k] variance of each column, of"""
    weight: Float64Array
    """[d, k] so many rows."""
    codes: UInt8Array
    """[trees, leaves] how crowded each leaf is (reference.py)."""
    ready: BoolArray
    """Whether ``codes`` can be used."""
    peaks: Int16Array
    """[PEAKS] the highest score of each of the last chapters."""
    chapters: Int64Array
    """How many chapters have been scored."""
    center: Float64Array
    """What a usual row scores."""
    threshold: Float64Array
    """From where on a row is severe."""
    last_severe: Int64Array
    """Number of the last severe event."""
    peak: Float64Array
    """The highest severity since the last quiet time."""

    @classmethod
    def unseen(cls, spec: ForestSpec, capacity: int) -> Models:
        """Rows of models that have seen nothing."""
        d, w, k = spec.features, spec.window, columns_of(spec)

        def zeros(*shape: int) -> Float64Array:
            return np.zeros((capacity, *shape))

        return cls(
            count=np.zeros(capacity, np.int64),
            recent=np.full((capacity, LAGS, d), np.nan),
            origin=np.full((capacity, d), np.nan),
            window=np.full((capacity, w, d), np.nan, np.float32),
            hours=np.zeros((capacity, w if spec.seasonality else 0), np.uint8),
            scores=np.zeros((capacity, Chapters(w).length), np.int16),
            levels=zeros(HOURS if spec.seasonality else 0, d),
            hour_weights=zeros(HOURS if spec.seasonality else 0, d),
            base=zeros(d, k),
            gain=zeros(d, k),
            neutral=np.zeros((capacity, d, k), np.int16),
            mean=zeros(d, k),
            variance=zeros(d, k),
            weight=zeros(d, k),
            codes=np.zeros((capacity, spec.trees, 1 << spec.height), np.uint8),
            ready=np.zeros(capacity, np.bool_),
            peaks=np.full((capacity, PEAKS), EMPTY, np.int16),
            chapters=np.zeros(capacity, np.int64),
            center=zeros(),
            threshold=zeros(),
            last_severe=np.full(capacity, NEVER),
            peak=zeros(),
        )
