"""What is a little odd for long alarms, and what it is odd against is what is usual."""

from __future__ import annotations

import numpy as np
import pytest

from streams.forest import ForestSpec, Steps, open_bank
from streams.forest.arrays import Float64Array
from streams.forest.engine import DefaultBank
from streams.forest.lasting import ROWS, UNIT, of_chapter, units

MINUTE = 60_000
SHIFTED = slice(3000, 3040)


def judged(shift: float, seed: int, seasonality: bool = True) -> tuple[Steps, Float64Array]:
    source = np.random.default_rng(seed)
    values = source.normal(50, 1, 3100)
    values[SHIFTED] += shift
    bank = open_bank(ForestSpec(features=1, seed=3, seasonality=seasonality), 1)
    ends = np.arange(1, len(values) + 1) * 5 * MINUTE
    return bank.step(np.zeros(len(values), np.int64), ends, values[:, None]), values


@pytest.mark.parametrize("seasonality", [True, False])
def test_a_small_shift_alarms_when_it_lasts_and_is_measured_against_what_is_usual(seasonality: bool) -> None:
    alarmed = 0
    for seed in range(5):
        steps, values = judged(2.5, seed, seasonality)
        assert (steps.grade[2900:3000] == 0).all()
        for event in np.flatnonzero(steps.grade[SHIFTED] > 0) + SHIFTED.start:
            alarmed += 1
            assert steps.score[event] >= steps.threshold[event]
            assert abs(float(steps.explanations[int(event)].expected[0]) - 50) < abs(values[event] - 50)
    assert alarmed >= 4


def test_the_mean_of_a_chapter_is_that_of_its_last_rows_and_the_ones_before() -> None:
    source = np.random.default_rng(0)
    earlier = source.integers(0, 249, (2, ROWS)).astype(np.uint8)
    scores = source.integers(0, 31 * 1024, (2, 125)).astype(np.int16)
    everything = np.concatenate([earlier * UNIT, scores / 1024], axis=1)
    naive = [[everything[m, i + 1 : i + 1 + ROWS].mean() for i in range(125)] for m in range(2)]
    np.testing.assert_allclose(of_chapter(earlier, scores), naive, atol=UNIT / 2)


@pytest.mark.parametrize("window", [128, 130, 160, 250])
def test_the_running_sum_is_that_of_the_last_rows_however_short_a_chapter_is(window: int) -> None:
    bank = open_bank(ForestSpec(features=1, seed=3, window=window), 1)
    assert isinstance(bank, DefaultBank)
    models = bank._models
    values = np.random.default_rng(1).standard_t(3, 700)
    seen = np.zeros(len(values), np.int64)
    for number, value in enumerate(values):
        bank.step(np.zeros(1, np.int64), np.array([(number + 1) * MINUTE]), np.array([[value]]))
        seen[number] = units(models.scores[0, number - models.begin[0]])
        assert models.lasting[0] == seen[max(0, number + 1 - ROWS) : number + 1].sum()
    assert seen.sum() > 0
