"""What becomes of windows in which nothing is known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from schemas.checkpoint import ModelCheckpoint
from schemas.partial import Partial, WindowPart
from schemas.result import Result
from schemas.state import Run
from streams.features.plan import Plan
from streams.running import Running, forest_spec
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels
from streams.score.partition import RunScore
from tests.schemas.documents import parsed

MOST = 1000


def run_of(owner: str = "d", **members: Any) -> RunScore:
    """A run with one-second windows and the sum of ``v``, reading one source."""
    document = {
        "time_field": "t",
        "detection_interval": {"period": {"interval": 1, "unit": "Seconds"}},
        "feature_attributes": [
            {"feature_id": "i", "feature_name": "f", "aggregation_query": {"f": {"sum": {"field": "v"}}}}
        ],
        **members,
    }
    detector = parsed(**document)
    plan = Plan.build(owner=owner, run=1, detector_id="d", detector=detector, partitions=1, most_delay_ms=60_000)
    running = Running(detector, Run(id=1, sources={"m": {0: 0}}), plan, forest_spec("d", detector))
    models = DetectorModels(owner, running.spec, checkpoint_windows=50)
    return RunScore(running, RunMerge(plan.columns, running.sources), models)


def said(until: int, windows: dict[int, dict[str, float]], owner: str = "d") -> Partial:
    """One source's word: the sums of each window's entities, and that it is closed ``until``."""
    parts = [WindowPart(end, list(sums), [np.array(list(sums.values())).tobytes()]) for end, sums in windows.items()]
    return Partial(
        owner=owner, run=1, topic="m", partition=0, closed_until=until, idle=False, finished=False, late=0, records=0,
        windows=parts,
    )  # fmt: skip


def score(run: RunScore, *partials: Partial, most: int = MOST) -> list[Result]:
    results = []
    for offset, partial in enumerate(partials):
        run.add(partial, offset)
        results += run.score(0, itertools.count(), most)
    return [result for _, result in results]


GAP = (said(2000, {1000: {"": 1.0}, 2000: {"": 2.0}}), said(5000, {5000: {"": 5.0}}), said(7000, {}))


def test_an_empty_window_of_a_single_stream_is_told_as_such() -> None:
    results = score(run_of(), *GAP)
    assert [result.data_end_time for result in results] == [1000, 2000, 3000, 4000, 5000, 6000, 7000]
    empty = results[2]
    assert empty.error == "No data in current window between 2000 and 3000 for d"
    assert empty.feature_data == []
    assert not isinstance(empty.anomaly_score, float)
    assert [result.error is None for result in results] == [True, True, False, False, True, False, False]


def test_an_analysis_says_so_in_its_own_words() -> None:
    partials = [said(2000, {1000: {"": 1.0}}, "task"), said(4000, {4000: {"": 1.0}}, "task")]
    results = score(run_of("task"), *partials)
    assert [result.error for result in results] == [None, *["No data in current detection window"] * 2, None]
    assert results[1].feature_data is None
    assert {result.task_id for result in results} == {"task"}


def test_empty_windows_teach_nothing() -> None:
    # Without a season: what is usual depends on the time of the day, and the windows after the gap are later ones.
    with_gap, without = (run_of(model={"seasonality": False}) for _ in range(2))
    values = np.random.default_rng(1).normal(size=60).tolist()
    long = [said(1000 * k, {1000 * k: {"": value}}) for k, value in enumerate(values, 1) if not 40 < k < 45]
    scored = [result for result in score(with_gap, *long) if result.error is None]
    ends = {result.data_end_time for result in scored}
    alone = score(
        without, *(said(1000 * k, {1000 * k: {"": v}}) for k, v in enumerate([*values[:40], *values[44:]], 1))
    )
    assert len(ends) == 56
    assert [result.anomaly_score for result in scored] == [result.anomaly_score for result in alone]


def test_windows_without_a_known_entity_are_not_told() -> None:
    assert score(run_of(category_field=["host"]), said(9000, {1000: {"a": 1.0}}), said(12000, {}))[1:] == []


def test_not_more_empty_windows_are_made_up_than_allowed() -> None:
    results = score(run_of(), said(1000, {1000: {"": 1.0}}), said(10**9, {}), most=5)
    assert [result.data_end_time for result in results[1:]] == [10**9 - 1000 * k for k in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("option", "filled"),
    [
        ({"method": "ZERO"}, 0.0),
        ({"method": "PREVIOUS"}, 2.0),
        ({"method": "FIXED_VALUES", "default_fill": [{"feature_name": "f", "data": 7.5}]}, 7.5),
    ],
)
def test_what_imputation_fills_in_is_shown_and_marked(option: dict[str, Any], filled: float) -> None:
    results = score(run_of(imputation_option=option), *GAP)
    assert [[each.data for each in result.feature_data or []] for result in results[:5]] == [
        [1.0], [2.0], [filled], [filled], [5.0]
    ]  # fmt: skip
    assert [result.feature_imputed is not None for result in results[:5]] == [False, False, True, True, False]
    (mark,) = results[2].feature_imputed or []
    assert (mark.feature_id, mark.imputed) == ("i", True)
    assert {result.error for result in results} == {None}


@pytest.mark.parametrize("option", [None, {"method": "ZERO"}])
def test_after_a_crash_the_same_windows_are_made_up_again(option: dict[str, Any] | None) -> None:
    members: dict[str, Any] = {} if option is None else {"imputation_option": option}
    undisturbed = score(run_of(**members), *GAP)
    before = run_of(**members)
    score(before, *GAP[:1])
    assert before.models is not None
    snapshots: list[ModelCheckpoint] = before.models.snapshot(before.models.dirty(), 0)
    after = run_of(**members)
    assert after.models is not None
    after.models.load(snapshots)
    again = score(after, *GAP[1:])
    assert [each.id for each in again] == [each.id for each in undisturbed[2:]]
    assert [each.feature_data for each in again] == [each.feature_data for each in undisturbed[2:]]
