"""The state of the default model, as rows of arrays: all that is kept between two calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest import incidents
from streams.forest.arrays import (
    Float32Array,
    Float64Array,
    Int16Array,
    Int32Array,
    Int64Array,
    UInt8Array,
)
from streams.forest.chapters import FIRST, Chapters
from streams.forest.derive import LAGS
from streams.forest.lasting import ROWS
from streams.forest.season import HOURS
from streams.forest.spec import ForestSpec
from streams.forest.table import Table
from streams.forest.threshold import EMPTY, PEAKS

CHANGE, MEAN, GAP = range(1, 4)
"""Columns of a feature, after the value itself: its change, its short mean, its gap from what is usual."""

BASE, GAIN, CENTER, CLOSENESS = range(4)
"""Rows of ``Models.frame``."""

FARTHEST = float(np.finfo(np.float32).max) / 4
"""Values are stored within this distance from their origin: beyond, differences of two would be infinite."""


def columns_of(spec: ForestSpec) -> int:
    """How many columns the trees see of one feature."""
    return 4 if spec.seasonality else 3


@dataclass
class Models(Table):
    """One row a model; d features, k columns a feature, w rows in the window."""

    ALIKE = ("codes",)

    count: Int64Array
    """Events learned."""
    recent: Float64Array
    """[LAGS, d] the values before the next one, the latest first; gaps are filled with what was before."""
    origin: Float64Array
    """[d] what ``window`` and ``levels`` are relative to: float32 would lose the changes of a large value."""
    window: Float32Array
    """[w, d] the latest values, in the place of their number modulo w; NaN for missing ones."""
    marks: UInt8Array
    """[w] the hour of each of them, and whether it is protected (season.py)."""
    scores: Int16Array
    """[w / 2] the scores of the current chapter, in steps of 2^-10."""
    earlier: UInt8Array
    """[lasting.ROWS] the last scores before the current chapter, in units (lasting.py)."""
    lasting: Int32Array
    """Sum of the latest lasting.ROWS scores, in units."""
    levels: Float32Array
    """[HOURS, d] the mean of each hour, relative to ``origin``."""
    hour_weights: Float32Array
    """[HOURS, d] how many rows each of them has seen."""
    frame: Float64Array
    """[4, d, k] how rows are seen: BASE is mapped to 0 for the trees, where a unit counts GAIN; for the distance,
    CENTER is the slowly moving mean and CLOSENESS 1 / standard deviation. One array, since a row needs all."""
    neutral: Int16Array
    """[d, k] the cell of the median, for what is missing."""
    variance: Float64Array
    """[d, k] variance of each column, of"""
    weight: Float64Array
    """[d, k] so many rows."""
    codes: UInt8Array
    """[trees, leaves] how crowded each leaf is (reference.py)."""
    peaks: Int16Array
    """[PEAKS] the highest score of each of the last chapters, and"""
    lasting_peaks: Int16Array
    """[PEAKS] the highest mean of some scores in a row."""
    tail: Float64Array
    """How far the highest scores of a chapter lie above the others, in bits (threshold.py)."""
    chapters: Int64Array
    """How many chapters have been scored."""
    limits: Float64Array
    """[2] what a usual row scores, and from where on a row is severe: infinite before the first chapter ends."""
    lasting_limit: Float64Array
    """From where on a mean of some scores in a row is severe."""
    begin: Int64Array
    """Number of the first event of the current chapter, and"""
    end: Int64Array
    """of the first one of the next."""
    incident: Int64Array
    """[incidents.COLUMNS] where the latest incident stands, and"""
    worst: Float64Array
    """the highest severity in it."""

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
            marks=np.zeros((capacity, w), np.uint8),
            scores=np.zeros((capacity, Chapters(w).length), np.int16),
            earlier=np.zeros((capacity, ROWS), np.uint8),
            lasting=np.zeros(capacity, np.int32),
            levels=np.zeros((capacity, HOURS if spec.seasonality else 0, d), np.float32),
            hour_weights=np.zeros((capacity, HOURS if spec.seasonality else 0, d), np.float32),
            frame=zeros(4, d, k),
            neutral=np.zeros((capacity, d, k), np.int16),
            variance=zeros(d, k),
            weight=zeros(d, k),
            codes=np.zeros((capacity, spec.trees, 1 << spec.height), np.uint8),
            peaks=np.full((capacity, PEAKS), EMPTY, np.int16),
            lasting_peaks=np.full((capacity, PEAKS), EMPTY, np.int16),
            tail=zeros(),
            chapters=np.zeros(capacity, np.int64),
            limits=np.tile([0.0, np.inf], (capacity, 1)),
            lasting_limit=np.full(capacity, np.inf),
            begin=np.zeros(capacity, np.int64),
            end=np.full(capacity, FIRST),
            incident=incidents.unseen(capacity),
            worst=zeros(),
        )
