"""The scorer on cases that can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.bench.nabscore import Series, credit, load, score_alarms, score_at_best_threshold


def series(windows: tuple[tuple[int, int], ...], n: int = 200) -> Series:
    return Series("a.csv", np.arange(n), np.zeros(n), windows)


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


def alarms(*rows: int, n: int = 200) -> dict[str, np.typing.NDArray[np.bool_]]:
    flags = np.zeros(n, np.bool_)
    flags[list(rows)] = True
    return {"a.csv": flags}


def test_never_alarming_gives_zero_and_the_first_row_of_the_window_a_hundred() -> None:
    corpus = [series(((100, 119),))]
    assert set(score_alarms(corpus, alarms()).values()) == {0.0}
    assert list(score_alarms(corpus, alarms(100)).values()) == pytest.approx([100.0] * 3)


def test_a_later_hit_earns_less_and_only_the_best_counts() -> None:
    corpus = [series(((100, 119),))]
    late = sigmoid(-1 / 20) / sigmoid(-1)
    assert score_alarms(corpus, alarms(119))["standard"] == pytest.approx(100 * (late + 1) / 2)
    assert score_alarms(corpus, alarms(105, 119)) == score_alarms(corpus, alarms(105))


def test_false_alarms_cost_less_shortly_after_a_window() -> None:
    corpus = [series(((100, 119),))]
    assert score_alarms(corpus, alarms(100, 60))["standard"] == pytest.approx(100 * (2 - 0.11) / 2)
    assert score_alarms(corpus, alarms(100, 60))["low FP"] == pytest.approx(100 * (2 - 0.22) / 2)
    near = 0.11 * sigmoid(2 / 19)
    assert score_alarms(corpus, alarms(100, 121))["standard"] == pytest.approx(100 * (2 + near) / 2)
    assert credit(corpus[0])[1][190] == -1


def test_misses_weigh_twice_in_the_low_fn_profile() -> None:
    corpus = [series(((100, 119), (150, 159)))]
    assert score_alarms(corpus, alarms(100))["standard"] == pytest.approx(50.0)
    assert score_alarms(corpus, alarms(100))["low FN"] == pytest.approx(100 * (1 - 2 + 4) / 6)


def test_rows_on_probation_are_not_scored() -> None:
    corpus = [series(((100, 119),))]
    assert corpus[0].probation == 30
    assert score_alarms(corpus, alarms(3, 29, 100)) == score_alarms(corpus, alarms(100))


def test_the_best_threshold_is_the_best_of_all_thresholds() -> None:
    source = np.random.default_rng(1)
    corpus = [series(((100, 119), (150, 159)))]
    scores = source.random(200).round(2)
    best = score_at_best_threshold(corpus, {"a.csv": scores})
    for name, reached in best.items():
        tried = [score_alarms(corpus, {"a.csv": scores >= limit})[name] for limit in [*np.unique(scores), 2.0]]
        assert reached == pytest.approx(max(tried))


def test_the_corpus_is_read_from_its_folders(tmp_path: object) -> None:
    from pathlib import Path

    root = Path(str(tmp_path))
    (root / "data" / "real").mkdir(parents=True)
    (root / "labels").mkdir()
    rows = "".join(f"2024-01-01 00:{minute:02}:00,{minute}\n" for minute in range(10))
    (root / "data" / "real" / "x.csv").write_text("timestamp,value\n" + rows)
    windows = '{"real/x.csv": [["2024-01-01 00:04:00.000000", "2024-01-01 00:06:00.000000"]]}'
    (root / "labels" / "combined_windows.json").write_text(windows)
    (only,) = load(root)
    assert only.windows == ((4, 6),)
    assert only.values.tolist() == list(range(10))
    assert np.diff(only.times).tolist() == [60_000] * 9
