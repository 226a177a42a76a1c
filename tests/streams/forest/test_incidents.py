"""Incidents: what is raised, what goes on, and what opens a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.forest import ForestSpec, incidents, open_bank, read_rules
from streams.forest.arrays import Float64Array, Int64Array
from streams.forest.incidents import AFTERMATH, CALM, CLOSED, NONE, ONGOING, OPEN, STIRRED, WORSE, Judged
from streams.forest.log2 import STEP, exp2, log2

QUIET = 100


def judge(
    severity: Sequence[float], cuts: Sequence[int] = (), ignored: Callable[[float], bool] = lambda severity: False
) -> Judged:
    """Judge the rows of one model, cut into calls."""
    values = np.array(severity, np.float64)
    state, worst = incidents.unseen(1), np.zeros(1)
    parts = []
    for first, last in pairwise([0, *cuts, len(values)]):
        number = np.arange(first, last)
        rows, ends = np.zeros(len(number), np.int64), 1000 * number + 1000

        def asked(event: int, first: int = first) -> bool:
            return ignored(float(values[first + event]))

        parts.append(incidents.judge(state, worst, rows, number, ends, values[first:last], QUIET, asked))
    return Judged(np.concatenate([part.raised for part in parts]), np.concatenate([part.incident for part in parts]))


def lifted(worst: float) -> float:
    """How a bad incident lifts what another one needs, in the steps in which all machines agree."""
    steps = np.rint(AFTERMATH * log2(np.array([worst])) / STEP)
    return float(exp2(steps * STEP)[0])


def one_by_one(severity: Float64Array, ignored: Callable[[float], bool]) -> tuple[list[bool], list[list[int]]]:
    """The rules of the docstring, row by row."""
    raised, found = [], []
    latest, chain, severe_chain, severe_row, opened, worst, count, began = -(10**9), -1, -2, 0, -3, 0.0, 0, 0
    of_incident = False
    for row, one in enumerate(severity.tolist()):
        new = False
        if one >= STIRRED:
            if row - latest > CALM + 1:
                chain = row
            latest = row
        if one >= 1:
            if severe_chain == chain:
                new = one > (WORSE if opened >= chain else 1.0) * worst
                worst, severe_row = max(worst, one), row
            else:
                since, need = row - severe_row, 1.0
                if of_incident and since < QUIET:
                    need = max(1.0, 1 + (WORSE * lifted(worst) - 1) * (1 - since / QUIET))
                if one >= need:
                    new, severe_chain, worst, severe_row, of_incident = True, chain, one, row, False
            new = new and not ignored(one)
        opens = new and opened < chain
        if opens:
            opened, began, count = row, 1000 * row + 1000, count + 1
        of_incident = of_incident or new
        calm = row - latest
        state = OPEN if opens else ONGOING if calm <= CALM else CLOSED if calm == CALM + 1 else NONE
        raised.append(new)
        found.append([state, count, began] if opened >= chain >= 0 and state != NONE else [0, 0, 0])
    return raised, found


severities = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.49), st.floats(0.5, 0.99), st.floats(1, 4)).map(lambda one: round(one, 3)),
    max_size=80,
)


@given(severities, st.lists(st.integers(0, 80), max_size=5), st.integers(0, 30), st.booleans())
def test_it_is_what_a_reader_of_the_rules_would_say(
    severity: list[float], cuts: list[int], calm: int, rules: bool
) -> None:
    stretched = [one for value in severity for one in (value, *[0.0] * (calm if value > 3 else 0))]
    ignored = (lambda one: rules and int(1000 * one) % 3 == 0) if rules else (lambda one: False)
    inside = sorted({cut for cut in cuts if 0 < cut < len(stretched)})
    if not stretched:
        return
    judged = judge(stretched, inside, ignored)
    raised, found = one_by_one(np.array(stretched), ignored)
    assert judged.raised.tolist() == raised
    assert judged.incident.tolist() == found


def test_one_incident_is_raised_once_and_closed_after_calm_rows() -> None:
    severity = [0.1] * 5 + [1.5, 0.7, 1.6, 0.2, 0.2, 0.9] + [0.1] * 20
    judged = judge(severity)
    assert np.flatnonzero(judged.raised).tolist() == [5]
    states = judged.incident[:, 0].tolist()
    assert states[:5] == [NONE] * 5
    assert states[5:22] == [OPEN] + [ONGOING] * 15 + [CLOSED]
    assert not any(states[22:])
    assert judged.incident[5:22, 1:].tolist() == [[1, 6000]] * 17


def test_what_is_clearly_worse_is_raised_again_in_the_same_incident() -> None:
    judged = judge([1.0, 1.25, 1.7, 1.0])
    assert judged.raised.tolist() == [True, False, True, False]
    assert judged.incident[:, 0].tolist() == [OPEN, ONGOING, ONGOING, ONGOING]


def test_another_anomaly_after_an_incident_is_a_new_one() -> None:
    calm = [0.0] * (CALM + 1)
    assert np.flatnonzero(judge([1.0, *calm, 1.4]).raised).tolist() == [0, 12]
    assert np.flatnonzero(judge([4.0, *calm, 1.4]).raised).tolist() == [0]
    assert np.flatnonzero(judge([4.0, *calm * 9, 1.4]).raised).tolist() == [0, 100]
    assert judge([1.0, *calm, 1.4]).incident[-1].tolist() == [OPEN, 2, 13_000]


def test_an_anomaly_that_rules_ignore_begins_no_incident() -> None:
    judged = judge([1.5, 0.0, 1.6, 2.5, 1.1], ignored=lambda severity: severity < 2)
    assert judged.raised.tolist() == [False, False, False, True, False]
    assert judged.incident[:, 0].tolist() == [NONE, NONE, NONE, OPEN, ONGOING]


def test_what_rules_ignore_hides_nothing_of_what_follows() -> None:
    """A spike of a fifth of the expected value is ignored; 20 rows later, one that is hardly worse is not."""
    values = np.random.default_rng(0).normal(100, 1, (1200, 1))
    values[1000], values[1020] = 118, 130
    rules = read_rules(None, ["a"])
    bank = open_bank(ForestSpec(features=1, seed=1, rules=rules), 1)
    steps = bank.step(np.zeros(1200, np.int64), np.arange(1, 1201) * 60_000, values)
    assert steps.grade[1000] == 0
    assert steps.incident[1000, 0] == NONE
    assert steps.grade[1020] > 0
    assert steps.incident[1020].tolist() == [OPEN, 1, 1021 * 60_000]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 3)), min_size=1, max_size=60))
def test_models_do_not_touch_each_other(events: list[tuple[int, float]]) -> None:
    together = sorted(range(len(events)), key=lambda event: events[event][0])
    rows: Int64Array = np.array([events[event][0] for event in together])
    severity = np.array([events[event][1] for event in together])
    number = np.array([np.sum(rows[:place] == row) for place, row in enumerate(rows)])
    state, worst = incidents.unseen(4), np.zeros(4)
    judged = incidents.judge(state, worst, rows, number, 1000 * number + 1000, severity, QUIET, lambda event: False)
    for model in set(rows.tolist()):
        alone = judge(severity[rows == model])
        assert judged.raised[rows == model].tolist() == alone.raised.tolist()
        assert judged.incident[rows == model].tolist() == alone.incident.tolist()
