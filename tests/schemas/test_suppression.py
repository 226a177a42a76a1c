from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import DetectorInvalid, Refused
from schemas.suppression import check_rules, default_rules, parse_rules

PREFIX = "Suppression Rule Error: "


def condition(**members: Any) -> dict[str, Any]:
    return {
        "feature_name": "f",
        "threshold_type": "ACTUAL_OVER_EXPECTED_MARGIN",
        "operator": "LTE",
        "value": 5,
        **members,
    }


def rules(*conditions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"action": "IGNORE_ANOMALY", "conditions": list(conditions)}]


def test_a_good_rule_reads_back() -> None:
    read = parse_rules(
        rules(condition(), condition(threshold_type="ACTUAL_IS_OVER_EXPECTED", operator=None, value=None))
    )
    check_rules(read, {"f": True})
    assert parse_rules([rule.document() for rule in read]) == read
    check_rules(default_rules(["f", "g"]), {"f": True, "g": True})


CASES: list[tuple[list[dict[str, Any]], dict[str, bool], str]] = [
    (rules(condition()), {}, "Features are not defined while suppression rules are provided."),
    (rules(), {"f": True}, "A suppression rule or its conditions are not properly defined."),
    (rules(condition(feature_name=None)), {"f": True}, "A condition is missing the feature name."),
    (rules(condition()), {"g": True}, 'Feature "f" specified in a suppression rule does not exist.'),
    (rules(condition()), {"f": False}, 'Feature "f" specified in a suppression rule is not enabled.'),
    (rules(condition(value=None)), {"f": True}, 'The threshold value for feature "f" is not a valid number.'),
    (rules(condition(value="NaN")), {"f": True}, 'The threshold value for feature "f" is not a valid number.'),
    (rules(condition(value=-1)), {"f": True}, 'The threshold value for feature "f" must be a positive number.'),
    (
        rules(condition(threshold_type="ACTUAL_IS_OVER_EXPECTED")),
        {"f": True},
        'For threshold type "ACTUAL_IS_OVER_EXPECTED", both operator and value must be empty or null, as this rule'
        " compares actual to expected values directly",
    ),
]


@pytest.mark.parametrize(("document", "features", "message"), CASES)
def test_rules_are_compared_with_the_features(
    document: list[dict[str, Any]], features: dict[str, bool], message: str
) -> None:
    with pytest.raises(DetectorInvalid) as caught:
        check_rules(parse_rules(document), features)
    assert (caught.value.field, caught.value.message) == ("rules", PREFIX + message)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"threshold_type": "XX"}, "No enum constant org.opensearch.ad.model.ThresholdType.XX"),
        ({"operator": "GT"}, "No enum constant org.opensearch.ad.model.Operator.GT"),
    ],
)
def test_unknown_words_are_bad_requests(members: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_rules(rules(condition(**members)))
    assert (caught.value.status, caught.value.reason) == (400, reason)
