"""Suppression rules, alone and through a bank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.errors import Refused
from streams.forest import ForestSpec, Rule, open_bank, read_rules
from streams.forest.suppression import ignored


def rule(kind: str, value: float | None = None, name: str = "b") -> list[dict[str, Any]]:
    condition = {"feature_name": name, "threshold_type": kind, "value": value}
    if value is not None:
        condition["operator"] = "LTE"
    return [{"action": "IGNORE_ANOMALY", "conditions": [condition]}]


@pytest.mark.parametrize(
    ("kind", "value", "actual", "expected"),
    [
        ("ACTUAL_OVER_EXPECTED_MARGIN", 5.0, 104.0, True),
        ("ACTUAL_OVER_EXPECTED_MARGIN", 5.0, 106.0, False),
        ("ACTUAL_OVER_EXPECTED_MARGIN", 5.0, 96.0, False),
        ("EXPECTED_OVER_ACTUAL_MARGIN", 5.0, 96.0, True),
        ("ACTUAL_OVER_EXPECTED_RATIO", 0.2, 119.0, True),
        ("EXPECTED_OVER_ACTUAL_RATIO", 0.2, 79.0, False),
        ("ACTUAL_IS_OVER_EXPECTED", None, 1000.0, True),
        ("ACTUAL_IS_BELOW_EXPECTED", None, 1000.0, False),
    ],
)
def test_gaps_that_are_ignored(kind: str, value: float | None, actual: float, expected: bool) -> None:
    rules = read_rules(rule(kind, value), ["a", "b"])
    share, usual = np.array([0.2, 0.8]), np.array([0.0, 100.0])
    assert ignored(rules, share, np.array([0.0, actual]), usual) is expected
    # Only the feature that leads the anomaly is asked.
    assert not ignored(rules, share[::-1], np.array([0.0, actual]), usual)


def test_without_rules_a_fifth_of_the_expected_value_is_ignored() -> None:
    rules = read_rules([], ["a"])
    share = np.array([1.0])
    assert ignored(rules, share, np.array([119.0]), np.array([100.0]))
    assert not ignored(rules, share, np.array([121.0]), np.array([100.0]))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (rule("ACTUAL_IS_OVER_EXPECTED", name="x"), 'Feature "x" specified in a suppression rule does not exist'),
        (rule("ACTUAL_IS_OVER_EXPECTED", 1.0), "both operator and value must be empty"),
        (rule("ACTUAL_OVER_EXPECTED_MARGIN", -1.0), "must be a positive number"),
        (rule("ACTUAL_OVER_EXPECTED_MARGIN"), "is not a valid number"),
        (rule("SOMETHING", 1.0), "not properly defined"),
        (rule("ACTUAL_IS_OVER_EXPECTED", name=""), "missing the feature name"),
    ],
)
def test_rules_that_are_refused(documents: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(Refused, match=message):
        read_rules(documents, ["a", "b"])


def alarm_of(rules: tuple[Rule, ...]) -> tuple[float, bool]:
    values = np.random.default_rng(0).normal(50, 5, (1000, 1))
    values[900] = 150
    bank = open_bank(ForestSpec(features=1, seed=1, rules=rules), 1)
    steps = bank.step(np.zeros(1000, np.int64), np.arange(1, 1001) * 60_000, values)
    return float(steps.grade[900]), 900 in steps.explanations


def test_a_rule_takes_an_anomaly_away() -> None:
    grade, explained = alarm_of(())
    assert grade > 0
    assert explained
    assert alarm_of(read_rules(rule("ACTUAL_IS_BELOW_EXPECTED", name="a"), ["a"])) == (grade, True)
    assert alarm_of(read_rules(rule("ACTUAL_IS_OVER_EXPECTED", name="a"), ["a"])) == (0.0, False)
