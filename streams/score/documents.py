"""From scored events to result documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from schemas.entity import entity_values, result_id
from schemas.reason import Reason, bands, sentence
from schemas.result import SCHEMA_VERSION, ExpectedValues, FeatureData, FeatureImputed, FeatureShare, Incident, Result
from schemas.task import EntityValue
from streams.features.plan import Plan
from streams.forest import Explanation
from streams.score.models import Events, Scored


def model_id(plan: Plan, entity: str) -> str:
    """The name of a model in documents: opaque and stable, one an entity."""
    if not plan.categories:
        return f"{plan.detector_id}_model_rcf_0"
    return f"{plan.detector_id}_entity_{blake2b(entity.encode(), digest_size=11).hexdigest()}"


def entity_document(plan: Plan, entity: str) -> list[EntityValue] | None:
    """The entity as documents show it; None for a detector without category fields."""
    if not plan.categories:
        return None
    values = entity_values(entity, len(plan.categories))
    return [EntityValue(name, value) for name, value in zip(plan.categories, values, strict=True)]


def result_documents(
    plan: Plan, events: Events, scored: Scored, started: int, finished: int
) -> Iterator[tuple[str, Result]]:
    """The entity and the result of each scored event, in the order of ``scored.kept``.

    ``started`` and ``finished`` are the wall clock (epoch ms) around the scoring, the only members that a replay
    does not reproduce.
    """
    steps = scored.steps
    historical = plan.owner != plan.detector_id
    task_id = plan.owner if historical else None
    kept = scored.kept
    ends = events.ends[kept].tolist()
    values = np.where(steps.imputed, steps.values, events.values[kept])
    scores, thresholds = steps.score.tolist(), steps.threshold.tolist()
    grades, confidences = steps.grade.tolist(), steps.confidence.tolist()
    features = [(feature.feature_id, feature.feature_name) for feature in plan.features]
    unknown = frozenset(np.flatnonzero(np.isnan(values).all(axis=1)).tolist())
    incidents = steps.incident.tolist() if steps.incident.any() else []
    flags: list[list[bool]] = steps.imputed.tolist() if steps.imputed.any() else []
    learning = steps.learning.tolist()
    columns = [values[:, index].tolist() for index in range(len(features))]
    for position, index in enumerate(kept.tolist()):
        entity, end = events.entities[index], ends[position]
        if position in unknown:
            yield entity, _no_data(plan, entity, end, started, finished)
            continue
        explanation = steps.explanations.get(position) if grades[position] > 0 else None
        result = Result(
            id=result_id(plan.owner, entity, end),
            detector_id=plan.detector_id,
            schema_version=SCHEMA_VERSION,
            data_start_time=end - plan.interval_ms,
            data_end_time=end,
            feature_data=[
                FeatureData(feature_id, name, column[position])
                for (feature_id, name), column in zip(features, columns, strict=True)
                if column[position] == column[position]
            ],
            execution_start_time=started,
            execution_end_time=finished,
            anomaly_score=scores[position],
            anomaly_grade=grades[position],
            confidence=confidences[position],
            threshold=thresholds[position] if thresholds[position] == thresholds[position] else None,
            entity=entity_document(plan, entity),
            model_id=model_id(plan, entity),
            task_id=task_id,
            relevant_attribution=_shares(features, explanation.attribution) if explanation else None,
            expected_values=_expected(features, explanation) if explanation else None,
            feature_imputed=_imputed(features, flags[position]) if flags and any(flags[position]) else None,
            incident=Incident.of(incidents[position], end, plan.interval_ms) if incidents else None,
            reason=reason_of(features, explanation, values[position].tolist()) if explanation else None,
            model_state="LEARNING" if learning[position] else None,
        )
        yield entity, result


def reason_of(features: Sequence[tuple[str, str]], explanation: Explanation, values: Sequence[float]) -> Reason:
    """Why a row with these ``values`` is an anomaly; ``features`` are their ids and names."""
    leading = explanation.feature
    feature_id, name = features[leading]
    expected = float(explanation.expected[leading])
    text = sentence(explanation.code, name, values[leading], expected, explanation.windows)
    ids = [feature_id for feature_id, _ in features]
    return Reason(
        explanation.code, feature_id, text, bands(ids, explanation.lower.tolist(), explanation.upper.tolist())
    )


def _no_data(plan: Plan, entity: str, end: int, started: int, finished: int) -> Result:
    """The result of a window of which nothing is known: that it was empty, in OpenSearch's words."""
    start, historical = end - plan.interval_ms, plan.owner != plan.detector_id
    if historical:
        error = "No data in current detection window"
    else:
        error = f"No data in current window between {start} and {end} for {plan.detector_id}"
    return Result(
        id=result_id(plan.owner, entity, end),
        detector_id=plan.detector_id,
        schema_version=SCHEMA_VERSION,
        data_start_time=start,
        data_end_time=end,
        feature_data=None if historical else [],
        execution_start_time=started,
        execution_end_time=finished,
        error=error,
        entity=entity_document(plan, entity),
        model_id=model_id(plan, entity),
        task_id=plan.owner if historical else None,
    )


def _shares(features: list[tuple[str, str]], numbers: npt.NDArray[np.float64]) -> list[FeatureShare]:
    return [
        FeatureShare(feature_id, number)
        for (feature_id, _), number in zip(features, numbers.tolist(), strict=True)
        if number == number
    ]


def _imputed(features: list[tuple[str, str]], flags: list[bool]) -> list[FeatureImputed]:
    return [FeatureImputed(feature_id, flag) for (feature_id, _), flag in zip(features, flags, strict=True)]


def _expected(features: list[tuple[str, str]], explanation: Explanation) -> list[ExpectedValues]:
    return [ExpectedValues(float(explanation.likelihood), _shares(features, explanation.expected))]
