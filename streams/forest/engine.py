"""The default model: half-space trees over values and their changes, for many entities at once.

A row's life: derive (what the trees see), scale (to the reference window's range), find the leaves, look up how
crowded they are, add how far from the mean the row is, compare with the model's own threshold. Then it is put
into the window, and at the end of a chapter the model learns its window anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from streams.forest import quiet
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from streams.forest.bank import Explanation, ForestBank, Steps
from streams.forest.cells import cell_of, leaves_of, reachable
from streams.forest.chapters import Chapters
from streams.forest.derive import CHANGES, LAGS, PER_FEATURE, Runs, carry_forward, derived, lagged
from streams.forest.log2 import STEP, log2
from streams.forest.record import WrongRecord, body, header
from streams.forest.reference import density, leaf_codes
from streams.forest.spec import ForestSpec
from streams.forest.structure import draw_spaced

MARGIN = 0.1
"""The reference window's range becomes [0.1, 0.9]."""

ROWS_AT_ONCE = 2048
MODELS_AT_ONCE = 32
"""So many at a time, temporary arrays stay in the processor's cache."""

DEVIATIONS = 5.0
HALF_LIFE = 500.0
LEAST_DEVIATION = 0.05
PROTECT = 0.6


class DefaultBank(ForestBank):
    """See ``ForestBank``: rows of arrays, d features, k = 3d derived ones, a window of w rows."""

    _ARRAYS = (
        "count", "recent", "origin", "window", "scores", "base", "gain", "neutral",
        "mean", "spread", "codes", "ready", "center", "variance", "last_severe", "peak",
    )  # fmt: skip

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self.spec = spec
        self._chapters = Chapters(spec.window)
        self._structure = draw_spaced(spec.seed, spec.features * PER_FEATURE, spec.trees, spec.height)
        self._table = reachable(self._structure)
        self._header = header(spec.kind, spec.seed, self._structure.fingerprint)
        self._allocate(0)
        self.grow(capacity)

    def _allocate(self, capacity: int) -> None:
        spec, k = self.spec, self._structure.features
        self.capacity = capacity
        self.count = np.zeros(capacity, np.int64)
        self.recent = np.full((capacity, LAGS, spec.features), np.nan)
        self.origin = np.full((capacity, spec.features), np.nan)
        self.window = np.full((capacity, spec.window, spec.features), np.nan, np.float32)
        self.scores = np.zeros((capacity, spec.window), np.int16)
        self.base = np.zeros((capacity, k))
        self.gain = np.zeros((capacity, k))
        self.neutral = np.zeros((capacity, k), np.int64)
        self.mean = np.zeros((capacity, spec.features))
        self.spread = np.zeros((capacity, spec.features))
        self.codes = np.zeros((capacity, spec.trees, self._structure.leaves), np.uint8)
        self.ready = np.zeros(capacity, np.bool_)
        self.center = np.zeros(capacity)
        self.variance = np.zeros(capacity)
        self.last_severe = np.full(capacity, quiet.NEVER)
        self.peak = np.zeros(capacity)

    @property
    def bytes_per_model(self) -> int:
        return sum(getattr(self, name)[:1].nbytes for name in self._ARRAYS)

    def grow(self, capacity: int) -> None:
        old = {name: getattr(self, name) for name in self._ARRAYS}
        self._allocate(capacity)
        for name, array in old.items():
            getattr(self, name)[: len(array)] = array

    def reset(self, rows: Int64Array) -> None:
        unseen = DefaultBank.__new__(DefaultBank)
        unseen.spec, unseen._structure = self.spec, self._structure
        unseen._allocate(1)
        for name in self._ARRAYS:
            getattr(self, name)[rows] = getattr(unseen, name)[0]

    def seen(self, rows: Int64Array) -> Int64Array:
        return self.count[rows]

    def step(self, rows: Int64Array, ends: Int64Array, values: Float64Array) -> Steps:
        order = np.argsort(rows, kind="stable")
        known = np.where(np.isfinite(values[order]), values[order], np.nan)
        runs = Runs.of(rows[order])
        imputed = np.zeros(values.shape, np.bool_)
        if self.spec.imputation is not None:
            known, imputed[order] = self.spec.imputation.fill_in(
                known, carry_forward(known, runs, self.recent[runs.rows, 0])
            )
        present = ~np.isnan(known).all(axis=1)
        if not present.all():
            # A row that tells nothing is neither scored nor learned.
            order, known = order[present], known[present]
            runs = Runs.of(rows[order])
        carried = carry_forward(known, runs, self.recent[runs.rows, 0])
        seen = derived(known, [lagged(carried, runs, self.recent, lag) for lag in CHANGES])
        numbers = self.count[runs.rows] + runs.rank

        n = len(rows)
        score, threshold, grade, confidence = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
        explanations: dict[int, Explanation] = {}
        for part in self._by_chapter(numbers, runs):
            model = runs.rows[part]
            bits = np.where(self.ready[model], self._bits(model, known[part], seen[part]), 0.0)
            deviation = np.maximum(np.sqrt(self.variance[model]), LEAST_DEVIATION)
            reach = DEVIATIONS / self.spec.sensitivity * deviation
            severity = np.where(self.ready[model], (bits - self.center[model]) / reach, 0.0)
            raised = quiet.alarms(
                model, numbers[part], severity, self.last_severe, self.peak, self.spec.quiet_period
            )
            place = order[part]
            score[place] = bits
            threshold[place] = self.center[model] + reach
            grade[place] = np.where(raised, np.minimum(1.0, 0.1 + 0.9 * (severity - 1)), 0.0)
            confidence[place] = np.where(
                self.ready[model], np.minimum(1.0, (numbers[part] + 1) / self.spec.window), 0.0
            ) * (1 - (np.isnan(known[part]) | imputed[place]).mean(axis=1))
            for event in np.flatnonzero(raised):
                explanations[int(place[event])] = self._explain(model[event], known[part][event])
            self._remember(model, numbers[part], known[part], bits)
            finished = self._chapters.ends_with(numbers[part] + 1) > 0
            self._learn(model[finished], numbers[part][finished] + 1)
        self._move_on(runs, carried)
        return Steps(score, threshold, grade, confidence, imputed, explanations)

    def _by_chapter(self, numbers: Int64Array, runs: Runs) -> Iterator[Int64Array]:
        chapter = self._chapters.of(numbers) - self._chapters.of(numbers - runs.rank)
        for current in range(int(chapter.max(initial=-1)) + 1):
            yield np.flatnonzero(chapter == current)

    def _bits(self, model: Int64Array, known: Float64Array, seen: Float64Array) -> Float64Array:
        bits = np.empty(len(model))
        for start in range(0, len(model), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            crowded = density(self.codes, model[part], self._leaves(model[part], seen[part]))
            bits[part] = self.spec.height + 1 - log2(crowded) + log2(1 + self._distance(model[part], known[part]))
        return bits

    def _leaves(self, model: Int64Array, seen: Float64Array) -> UInt8Array:
        cells = cell_of((seen - self.base[model]) * self.gain[model])
        missing = np.isnan(seen)
        if missing.any():
            cells = np.where(missing, self.neutral[model], cells)
        return leaves_of(self._table, cells)

    def _distance(self, model: Int64Array, known: Float64Array) -> Float64Array:
        spread = self.spread[model]
        deviations = np.abs(known - self.mean[model]) / np.where(spread > 0, spread, 1.0)
        return np.where((spread > 0) & ~np.isnan(known), deviations, 0.0).max(axis=1)

    def _remember(self, model: Int64Array, numbers: Int64Array, known: Float64Array, bits: Float64Array) -> None:
        slot = numbers % self.spec.window
        new = np.isnan(self.origin[model]) & ~np.isnan(known)
        if new.any():
            # Backwards, so that of several first values of one model the earliest is the one that stays.
            for place in np.flatnonzero(new.any(axis=1))[::-1]:
                row = model[place]
                self.origin[row] = np.where(new[place], known[place], self.origin[row])
        limit = np.finfo(np.float32).max
        self.window[model, slot] = np.clip(known - self.origin[model], -limit, limit)
        self.scores[model, slot] = np.clip(bits / STEP, 0, 32767)

    def _move_on(self, runs: Runs, carried: Float64Array) -> None:
        last = np.flatnonzero(runs.last)
        model, events = runs.rows[last], runs.rank[last] + 1
        before = self.recent[model]
        for lag in range(LAGS):
            inside = events > lag
            self.recent[model[inside], lag] = carried[last[inside] - lag]
            outside = ~inside
            self.recent[model[outside], lag] = before[outside, lag - events[outside]]
        self.count[model] += events

    def _learn(self, models: Int64Array, counts: Int64Array) -> None:
        for start in range(0, len(models), MODELS_AT_ONCE):
            part = slice(start, start + MODELS_AT_ONCE)
            self._learn_few(models[part], counts[part])

    def _learn_few(self, model: Int64Array, counts: Int64Array) -> None:
        size, m = self.spec.window, len(model)
        # Oldest first: the slot after the newest row, or slot 0 while the window fills up.
        oldest = np.where(counts >= size, counts % size, 0)
        slots = (oldest[:, None] + np.arange(size)) % size
        values = self.window[model[:, None], slots].astype(np.float64)
        kept = (~np.isnan(values)).any(axis=2)
        lags = []
        for lag in CHANGES:
            before = np.full_like(values, np.nan)
            before[:, lag:] = values[:, :-lag]
            lags.append(before)
        kept[:, :LAGS] = False
        seen = derived(values, lags)
        usable = np.where(kept[:, :, None], seen, np.nan)
        low, high = np.fmin.reduce(usable, axis=1), np.fmax.reduce(usable, axis=1)
        width = high - low
        width = np.where(width > 0, width, 1e-9 + np.abs(low) * 1e-3)
        gain = (1 - 2 * MARGIN) / width
        base = low - MARGIN / gain
        origin = np.repeat(np.nan_to_num(self.origin[model]), PER_FEATURE, axis=1)
        origin.reshape(m, -1, PER_FEATURE)[:, :, 1:] = 0.0
        self.base[model] = np.nan_to_num(base + origin)
        self.gain[model] = np.nan_to_num(gain)
        middle = np.nanmedian(np.where(np.isnan(usable).all(axis=1)[:, None], 0.0, usable), axis=1)
        self.neutral[model] = cell_of(np.nan_to_num((middle - base) * gain))
        cells = np.where(np.isnan(seen), 0.0, (seen - base[:, None]) * gain[:, None])
        cells = np.where(np.isnan(seen), self.neutral[model][:, None], cell_of(cells))
        leaves = leaves_of(self._table, cells.reshape(m * size, -1)).reshape(m, size, -1)
        self.codes[model] = leaf_codes(leaves, kept, self.spec.height)

        self._locate(model, np.where(kept[:, :, None], values, np.nan))
        self._adapt(model, counts, slots, leaves, values)
        self.ready[model] = True

    def _locate(self, model: Int64Array, values: Float64Array) -> None:
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, values, 0.0).sum(axis=1) / count
        squares = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
        self.mean[model] = mean + np.nan_to_num(self.origin[model])
        self.spread[model] = np.sqrt(squares / count)

    def _adapt(
        self, model: Int64Array, counts: Int64Array, slots: Int64Array, leaves: UInt8Array, values: Float64Array
    ) -> None:
        """Move the threshold: by the scores of the chapter's rows; at first by what the window itself scores."""
        newest = np.minimum(counts, self.spec.window)[:, None]
        place = np.arange(self.spec.window)
        own = (place < newest) & ~np.isnan(values).all(axis=2)
        scores = self.scores[model[:, None], slots] * STEP
        first = ~self.ready[model]
        if first.any():
            of_itself = self._bits_of_window(model[first], leaves[first], values[first])
            scores[first] = of_itself
        fresh = own & (place >= newest - self._chapters.length_before(counts)[:, None])
        reach = (PROTECT * DEVIATIONS) * np.maximum(np.sqrt(self.variance[model]), LEAST_DEVIATION)
        severe = scores > (self.center[model] + reach)[:, None]
        severe[first] = False
        calm = fresh & ~severe
        calm = np.where((calm.sum(axis=1) * 2 > fresh.sum(axis=1))[:, None], calm, fresh)
        rows = np.maximum(calm.sum(axis=1), 1)
        mean = np.where(calm, scores, 0.0).sum(axis=1) / rows
        variance = np.where(calm, (scores - mean[:, None]) ** 2, 0.0).sum(axis=1) / rows
        weight = np.maximum(rows / np.maximum(counts - 32 + rows, 1), 1 - 0.5 ** (rows / HALF_LIFE))
        weight = np.where(first, 1.0, weight)
        shift = mean - self.center[model]
        self.center[model] += weight * shift
        self.variance[model] = (1 - weight) * (self.variance[model] + weight * shift**2) + weight * variance

    def _bits_of_window(self, model: Int64Array, leaves: UInt8Array, values: Float64Array) -> Float64Array:
        m, size, trees = leaves.shape
        rows = np.repeat(model, size)
        absolute = (values + self.origin[model][:, None]).reshape(m * size, -1)
        crowded = density(self.codes, rows, leaves.reshape(m * size, trees))
        bits = self.spec.height + 1 - log2(crowded) + log2(1 + self._distance(rows, absolute))
        return bits.reshape(m, size)

    def _explain(self, row: Int64Array, known: Float64Array) -> Explanation:
        spread = np.where(self.spread[row] > 0, self.spread[row], 1.0)
        distance = np.nan_to_num(np.abs(known - self.mean[row]) / spread)
        total = distance.sum()
        features = len(distance)
        attribution = distance / total if total > 0 else np.full(features, 1 / features)
        return Explanation(attribution, self.mean[row].copy(), 1.0)

    def dump(self, rows: Int64Array) -> list[bytes]:
        parts = [np.ascontiguousarray(getattr(self, name)[rows]) for name in self._ARRAYS]
        flat = [part.view(np.uint8).reshape(len(rows), -1) for part in parts]
        return [self._header + record.tobytes() for record in np.concatenate(flat, axis=1)]

    def load(self, rows: Int64Array, states: Sequence[bytes]) -> None:
        bodies = [body(state, self._header) for state in states]
        if any(len(content) != self.bytes_per_model for content in bodies):
            raise WrongRecord("model record was cut off")
        table = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(states), -1)
        start = 0
        for name in self._ARRAYS:
            array = getattr(self, name)
            size = array[:1].nbytes
            part = np.ascontiguousarray(table[:, start : start + size]).view(array.dtype)
            array[rows] = part.reshape(len(states), *array.shape[1:])
            start += size
