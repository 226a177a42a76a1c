"""Whatever the words make is a document that the API takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.api_client.detector_document import detector_document, parse_feature
from schemas.detector import parse_detector
from schemas.detector_check import DetectorLimits
from schemas.errors import Refused

FIELDS = st.text("abcä.@_-[]> ", min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(
    topic=st.from_regex(r"[a-z][a-zA-Z0-9._-]{0,100}", fullmatch=True),
    features=st.lists(
        st.tuples(st.sampled_from(["avg", "count", "distinct", "p95", "p99.9"]), FIELDS), min_size=1, max_size=3
    ),
    interval=st.sampled_from(["1s", "90s", "5m", "2h", "1d"]),
)
def test_what_is_made_is_taken(topic: str, features: list[tuple[str, str]], interval: str) -> None:
    made = detector_document(
        topics=[topic],
        time_field="t",
        features=[f"f{number}={kind}:{field}" for number, (kind, field) in enumerate(features)],
        interval=interval,
        by=["host"],
        delay="30s",
        where="status:200",
    )
    detector = parse_detector(made, limits=DetectorLimits(), now_ms=0, new_id=lambda: "f")
    assert [feature.aggregation.field for feature in detector.feature_attributes] == [field for _, field in features]
    assert (
        detector.detection_interval.milliseconds
        == {"1s": 1, "90s": 90, "5m": 300, "2h": 7200, "1d": 86400}[interval] * 1000
    )


def test_names_are_made_of_what_names_may_have() -> None:
    made = detector_document(topics=["my.topic"], time_field="t", features=["avg:größe [mm]"], interval="1m")
    assert made["name"] == "my-topic-avg_gr-e-mm-"
    assert made["feature_attributes"][0]["feature_name"] == "avg_gr-e-mm-"


@pytest.mark.parametrize("wrong", ["", "cpu", "avg:", "median:cpu", "p101:cpu", "x=cpu"])
def test_what_is_no_feature_is_refused(wrong: str) -> None:
    with pytest.raises(Refused, match="is no feature"):
        parse_feature(wrong)
