"""Which anomalies nobody wants to hear of: the detector's ``rules``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import Refused
from streams.forest.arrays import Float64Array

DIRECTIONS = frozenset({"ACTUAL_IS_OVER_EXPECTED", "ACTUAL_IS_BELOW_EXPECTED"})
DISTANCES = frozenset(
    {
        "ACTUAL_OVER_EXPECTED_MARGIN",
        "EXPECTED_OVER_ACTUAL_MARGIN",
        "ACTUAL_OVER_EXPECTED_RATIO",
        "EXPECTED_OVER_ACTUAL_RATIO",
    }
)


@dataclass(frozen=True)
class Condition:
    """One condition on one feature (by its place). ``value`` is None for the two directions."""

    feature: int
    threshold_type: str
    value: float | None = None

    def holds(self, actual: float, expected: float) -> bool:
        """Whether the gap between actual and expected is one to ignore.

        A ratio is relative to the expected value's size.

        >>> Condition(0, "ACTUAL_OVER_EXPECTED_RATIO", 0.2).holds(actual=11.0, expected=10.0)
        True
        >>> Condition(0, "ACTUAL_IS_OVER_EXPECTED").holds(actual=9.0, expected=10.0)
        False
        """
        over = actual - expected
        if self.threshold_type == "ACTUAL_IS_OVER_EXPECTED":
            return over > 0
        if self.threshold_type == "ACTUAL_IS_BELOW_EXPECTED":
            return over < 0
        limit = self.value or 0.0
        if self.threshold_type.endswith("RATIO"):
            limit *= abs(expected)
        gap = over if self.threshold_type.startswith("ACTUAL") else -over
        return 0 <= gap <= limit


Rule = tuple[Condition, ...]
"""A rule applies when any of its conditions holds."""


def read_rules(documents: Sequence[dict[str, Any]] | None, names: Sequence[str]) -> tuple[Rule, ...]:
    """Read ``rules``; ``names`` are the names of the enabled features. Absent or empty gives the default.

    The default ignores, for each feature, what lies within 20 % of the expected value.
    Raises ``Refused`` (400) for what can't be used.

    >>> len(read_rules(None, ["cpu", "memory"]))
    2
    """
    if not documents:
        return tuple(
            (
                Condition(feature, "ACTUAL_OVER_EXPECTED_RATIO", 0.2),
                Condition(feature, "EXPECTED_OVER_ACTUAL_RATIO", 0.2),
            )
            for feature in range(len(names))
        )
    return tuple(tuple(_read(condition, names) for condition in rule.get("conditions") or []) for rule in documents)


def ignored(rules: Sequence[Rule], attribution: Float64Array, actual: Float64Array, expected: Float64Array) -> bool:
    """Whether the rules turn an anomaly into a normal row.

    Only the feature (or features) with the largest share, rounded to two decimals, is asked.
    """
    shares = attribution.round(2)
    leading = {feature for feature, share in enumerate(shares) if share == shares.max()}
    return any(
        condition.feature in leading
        and condition.holds(float(actual[condition.feature]), float(expected[condition.feature]))
        for rule in rules
        for condition in rule
    )


def _read(document: dict[str, Any], names: Sequence[str]) -> Condition:
    name, kind, value = document.get("feature_name"), document.get("threshold_type"), document.get("value")
    if not name:
        raise _refused("A condition is missing the feature name.")
    if name not in names:
        raise _refused(f'Feature "{name}" specified in a suppression rule does not exist.')
    if kind in DIRECTIONS:
        if value is not None or document.get("operator") is not None:
            raise _refused(
                f'For threshold type "{kind}", both operator and value must be empty or null, '
                "as this rule compares actual to expected values directly"
            )
        return Condition(list(names).index(name), str(kind))
    if kind not in DISTANCES:
        raise _refused("A condition within a suppression rule is not properly defined.")
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise _refused(f'The threshold value for feature "{name}" is not a valid number.')
    if value < 0:
        raise _refused(f'The threshold value for feature "{name}" must be a positive number.')
    return Condition(list(names).index(name), str(kind), float(value))


def _refused(reason: str) -> Refused:
    return Refused(400, "Suppression Rule Error: " + reason, "illegal_argument_exception")
