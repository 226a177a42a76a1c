"""Rules by which small deviations are no anomalies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from schemas.errors import DetectorInvalid
from schemas.token import as_array, as_number, as_object, as_text, illegal_argument

ThresholdType = Literal[
    "ACTUAL_OVER_EXPECTED_MARGIN",
    "EXPECTED_OVER_ACTUAL_MARGIN",
    "ACTUAL_OVER_EXPECTED_RATIO",
    "EXPECTED_OVER_ACTUAL_RATIO",
    "ACTUAL_IS_OVER_EXPECTED",
    "ACTUAL_IS_BELOW_EXPECTED",
]
DIRECTIONS: frozenset[str] = frozenset({"ACTUAL_IS_OVER_EXPECTED", "ACTUAL_IS_BELOW_EXPECTED"})
DEFAULT_RATIO = 0.2
"""A feature without a rule ignores deviations up to this share of the expected value, in both directions."""


class Condition(msgspec.Struct, frozen=True):
    """One condition on one feature; ``operator`` and ``value`` are None exactly for the directions."""

    feature_name: str | None
    threshold_type: ThresholdType | None
    operator: Literal["LTE"] | None
    value: float | None

    def document(self) -> dict[str, Any]:
        """The JSON form: OpenSearch shows a direction's missing operator, but not its missing value."""
        shown: dict[str, Any] = {
            "feature_name": self.feature_name,
            "threshold_type": self.threshold_type,
            "operator": self.operator,
        }
        return shown if self.value is None else {**shown, "value": self.value}


class Rule(msgspec.Struct, frozen=True):
    """Ignore an anomaly when one of the conditions holds."""

    action: Literal["IGNORE_ANOMALY"]
    conditions: tuple[Condition, ...]

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {"action": self.action, "conditions": [condition.document() for condition in self.conditions]}


def default_rules(enabled_features: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of a detector that names none: 20 % in both directions for each enabled feature.

    >>> [condition.value for rule in default_rules(["cpu"]) for condition in rule.conditions]
    [0.2, 0.2]
    """
    return tuple(
        Rule(
            "IGNORE_ANOMALY",
            (
                Condition(feature, "ACTUAL_OVER_EXPECTED_RATIO", "LTE", DEFAULT_RATIO),
                Condition(feature, "EXPECTED_OVER_ACTUAL_RATIO", "LTE", DEFAULT_RATIO),
            ),
        )
        for feature in enabled_features
    )


def parse_rules(value: Any) -> tuple[Rule, ...]:
    """Read ``rules``. Raises ``Refused`` for what doesn't have their shape."""
    if value is None:
        return ()
    return tuple(_parse_rule(as_object(rule)) for rule in as_array(value))


def _parse_rule(rule: Mapping[str, Any]) -> Rule:
    action = as_text(rule.get("action", "IGNORE_ANOMALY"))
    if action.upper() != "IGNORE_ANOMALY":
        raise illegal_argument(f"No enum constant org.opensearch.ad.model.Action.{action.upper()}")
    conditions = rule.get("conditions")
    return Rule(
        "IGNORE_ANOMALY",
        tuple(_parse_condition(as_object(each)) for each in as_array(conditions)) if conditions else (),
    )


def _parse_condition(condition: Mapping[str, Any]) -> Condition:
    name, operator, value = (condition.get(key) for key in ("feature_name", "operator", "value"))
    if operator is not None and as_text(operator).upper() != "LTE":
        raise illegal_argument(f"No enum constant org.opensearch.ad.model.Operator.{as_text(operator).upper()}")
    return Condition(
        None if name is None else as_text(name),
        _parse_threshold_type(condition.get("threshold_type")),
        None if operator is None else "LTE",
        None if value is None else as_number(value),
    )


def _parse_threshold_type(value: Any) -> ThresholdType | None:
    if value is None:
        return None
    name = as_text(value).upper()
    for known in get_args(ThresholdType):
        if known == name:
            return known  # type: ignore[no-any-return]
    raise illegal_argument(f"No enum constant org.opensearch.ad.model.ThresholdType.{name}")


def check_rules(rules: Sequence[Rule], features: Mapping[str, bool]) -> None:
    """Compare the rules with the features (name -> enabled). Raises ``DetectorInvalid`` in OpenSearch's words."""
    if rules and not features:
        raise _invalid("Features are not defined while suppression rules are provided.")
    for rule in rules:
        if not rule.conditions:
            raise _invalid("A suppression rule or its conditions are not properly defined.")
        for condition in rule.conditions:
            _check_condition(condition, features)


def _check_condition(condition: Condition, features: Mapping[str, bool]) -> None:
    name, value = condition.feature_name, condition.value
    if not name:
        raise _invalid("A condition is missing the feature name.")
    if name not in features:
        raise _invalid(f'Feature "{name}" specified in a suppression rule does not exist.')
    if not features[name]:
        raise _invalid(f'Feature "{name}" specified in a suppression rule is not enabled.')
    if condition.threshold_type is None:
        raise _invalid("A condition within a suppression rule is not properly defined.")
    if condition.threshold_type in DIRECTIONS:
        if condition.operator is not None or value is not None:
            raise _invalid(
                f'For threshold type "{condition.threshold_type}", both operator and value must be empty or null,'
                " as this rule compares actual to expected values directly"
            )
        return
    if condition.operator is None:
        raise _invalid("A condition within a suppression rule is not properly defined.")
    if value is None or not math.isfinite(value):
        raise _invalid(f'The threshold value for feature "{name}" is not a valid number.')
    if value <= 0:
        raise _invalid(f'The threshold value for feature "{name}" must be a positive number.')


def _invalid(text: str) -> DetectorInvalid:
    return DetectorInvalid("rules", f"Suppression Rule Error: {text}")
