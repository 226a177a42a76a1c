"""The field types of the documents that can be searched, as OpenSearch's index mappings give them.

What is not listed can be shown, but not searched, sorted or aggregated.
"""

from __future__ import annotations

from schemas.query.fields import FieldType, Types

_TEXT_AND_KEYWORD: dict[str, FieldType] = {"": "text", ".keyword": "keyword"}


def _typed(type_: FieldType, names: str) -> dict[str, FieldType]:
    return dict.fromkeys(names.split(), type_)


def _text(*names: str) -> dict[str, FieldType]:
    return {name + end: type_ for name in names for end, type_ in _TEXT_AND_KEYWORD.items()}


_USER: dict[str, FieldType] = {
    "user": "nested",
    **_text("user.name", "user.backend_roles", "user.roles", "user.custom_attribute_names"),
}

DETECTORS: Types = {
    **_text("name", "indices", "feature_attributes.feature_name"),
    **_typed("text", "description"),
    **_typed("keyword", "time_field category_field detector_type result_index feature_attributes.feature_id"),
    **_typed("boolean", "feature_attributes.feature_enabled flatten_custom_result_index"),
    **_typed("nested", "feature_attributes rules rules.conditions imputation_option.default_fill"),
    **_typed("keyword", "rules.action rules.conditions.feature_name rules.conditions.threshold_type"),
    **_typed("keyword", "rules.conditions.operator imputation_option.method"),
    **_typed("keyword", "imputation_option.default_fill.feature_name"),
    **_typed("double", "rules.conditions.value imputation_option.default_fill.data"),
    **_typed("object", "imputation_option detection_interval detection_interval.period"),
    **_typed("object", "window_delay window_delay.period"),
    **_typed("long", "detection_interval.period.interval window_delay.period.interval shingle_size schema_version"),
    **_typed("keyword", "detection_interval.period.unit window_delay.period.unit"),
    **_typed("long", "recency_emphasis history suggested_seasonality result_index_min_size result_index_min_age"),
    **_typed("long", "result_index_ttl"),
    **_typed("date", "last_update_time last_breaking_ui_change_time"),
    **_USER,
}

TASKS: Types = {
    **_typed("keyword", "detector_id state task_type started_by stopped_by checkpoint_id"),
    **_typed("keyword", "coordinating_node worker_node parent_task_id entity.name entity.value"),
    **_typed("text", "error"),
    **_typed("double", "task_progress init_progress"),
    **_typed("date", "current_piece execution_start_time execution_end_time last_update_time"),
    **_typed("date", "detection_date_range.start_time detection_date_range.end_time"),
    **_typed("boolean", "is_latest"),
    **_typed("long", "estimated_minutes_left"),
    **_typed("nested", "entity"),
    **_typed("object", "detection_date_range detector"),
    **_USER,
    **{f"detector.{path}": type_ for path, type_ in DETECTORS.items()},
}

RESULTS: Types = {
    **_typed("keyword", "detector_id task_id model_id feature_data.feature_id feature_data.feature_name"),
    **_typed("keyword", "entity.name entity.value relevant_attribution.feature_id past_values.feature_id"),
    **_typed("keyword", "expected_values.value_list.feature_id feature_imputed.feature_id"),
    **_typed("double", "anomaly_score anomaly_grade confidence threshold feature_data.data relevant_attribution.data"),
    **_typed("double", "past_values.data expected_values.likelihood expected_values.value_list.data"),
    **_typed("date", "data_start_time data_end_time execution_start_time execution_end_time"),
    **_typed("date", "approx_anomaly_start_time"),
    **_typed("long", "schema_version"),
    **_typed("boolean", "is_anomaly feature_imputed.imputed"),
    **_typed("text", "error"),
    **_typed("nested", "feature_data entity relevant_attribution past_values expected_values"),
    **_typed("nested", "expected_values.value_list feature_imputed"),
    **_typed("object", "incident"),
    **_typed("keyword", "incident.state"),
    **_typed("long", "incident.sequence incident.duration"),
    **_typed("date", "incident.start_time"),
    **_typed("object", "reason"),
    **_typed("keyword", "model_state reason.code reason.feature_id reason.bands.feature_id"),
    **_typed("text", "reason.text"),
    **_typed("nested", "reason.bands"),
    **_typed("double", "reason.bands.lower reason.bands.upper"),
    **_USER,
}
