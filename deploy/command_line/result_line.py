"""A result as one line for people."""

from __future__ import annotations

from deploy.command_line.times import utc
from schemas.result import Result


def result_line(result: Result, *, detector: bool = True) -> str:
    """End of the window (UTC), ``detector`` id, entity, values with what was expected, grade and confidence.

    >>> from schemas.result import FeatureData
    >>> result_line(Result(id="d|", detector_id="d", data_start_time=0, data_end_time=60_000, anomaly_grade=0.5,
    ...     confidence=0.9, feature_data=[FeatureData("f", "cpu", 93.25)]))
    '1970-01-01 00:01:00  d  -  cpu=93.25  grade 0.50 confidence 0.90'
    """
    entity = ",".join(f"{each.name}={each.value}" for each in result.entity or []) or "-"
    expected = {each.feature_id: each.data for values in result.expected_values or () for each in values.value_list}
    values = " ".join(
        f"{each.feature_name}={each.data:.6g}"
        + (f" (expected {expected[each.feature_id]:.6g})" if each.feature_id in expected else "")
        for each in result.feature_data or []
    )
    if result.error:
        verdict = f"error: {result.error}"
    elif isinstance(result.anomaly_grade, float):
        confidence = result.confidence if isinstance(result.confidence, float) else 0.0
        verdict = f"grade {result.anomaly_grade:.2f} confidence {confidence:.2f}"
        if result.reason is not None:
            verdict += f"  {result.reason.text}"
    else:
        verdict = "still learning"
    id = [result.detector_id] if detector else []
    return "  ".join([utc(result.data_end_time), *id, entity, values or "-", verdict])
