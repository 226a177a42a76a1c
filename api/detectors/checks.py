"""Checks of a detector beyond its document: its topics, their records, the other detectors.

Order and messages are those of OpenSearch: the same steps refuse a create or an update and give the one issue that
``_validate`` reports (https://docs.opensearch.org/latest/observing-your-data/ad/api/#validate-detector).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from api.detectors.catalog import Catalog, StoredDocument
from api.detectors.sample import Sample, kind_of, source_in, source_of, time_of, unit_in
from api.http.requests import Request
from api.kafka.source_topics import SourceTopics
from api.settings import ApiSettings
from schemas.aggregation import Aggregation
from schemas.command import User
from schemas.detector import DEFAULT_INTERVAL, Detector, read_detector
from schemas.detector_check import DetectorLimits, check_name
from schemas.errors import DetectorInvalid, Refused
from schemas.feature import check_features
from schemas.interval import Interval
from schemas.kafka_fields import is_kafka_field
from schemas.query import compile_query
from schemas.query.values import field_values, leaves
from schemas.record_format import RECORD_FORMATS
from schemas.time_unit import TimeUnit
from schemas.token import as_object
from streams.formats.time import moment_text
from streams.formats.values import shown

DAY = 86_400_000
EARLIEST = 946_684_800_000
"""The year 2000 in epoch ms."""

EMPTY = "Feature has an invalid query returning empty aggregated data"
RUNTIME = "Feature has an invalid query causing a runtime exception"


@dataclasses.dataclass
class Told:
    """What the sampled records tell of a detector that is not refused: members of its document that it leaves open,
    and what people should know of it."""

    members: dict[str, Any] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)


class Checks:
    """The checks of one API process."""

    def __init__(self, settings: ApiSettings, catalog: Catalog, source_topics: SourceTopics) -> None:
        self._settings = settings
        self._catalog = catalog
        self._source_topics = source_topics
        self.limits = DetectorLimits(
            max_features=settings.max_features, category_field_limit=settings.category_field_limit
        )

    async def check(self, detector: Detector, now: int, before: StoredDocument | None = None) -> Told:
        """Check, at ``now`` (epoch ms), a detector to be created or to replace ``before``. Raises ``Refused``."""
        told = Told()
        samples: Sequence[Sample] | None = None
        if self._settings.check_sources:
            topics = await self._source_topics.topics(detector.indices)
            samples = await self._source_topics.samples(topics, source_of(detector))
        check_name(detector.name, self.limits)
        if samples is not None:
            _check_formats(samples)
            source = source_in(samples)
            unit = _check_time_field(detector, samples, now)
            members = {"format": source.format, "points": source.points, "time_unit": unit}
            told.members |= {name: value for name, value in members.items() if value is not None}
            told.warnings += [*_other_formats(samples), *_filtered(detector, samples)]
        if before is None:
            self._check_room(detector)
        if samples is not None:
            told.warnings += _check_categories(detector, samples)
            if not any(sample.total for sample in samples):
                raise _invalid(
                    "indices",
                    f"Can't create anomaly detector as no document is found in the indices: "
                    f"[{', '.join(detector.indices)}]",
                    400,
                )
        check_features(detector.feature_attributes, self.limits.max_features)
        if samples is not None:
            _check_features_give_values(detector, samples)
        owner = self._catalog.id_of_name(detector.name)
        if owner is not None and (before is None or owner != before.id):
            reason = f"Cannot create anomaly detector with name [{detector.name}]"
            raise _invalid("name", f"{reason} as it's already used by another detector", 409)
        return told

    def read(
        self, request: Request, default_interval: Interval | None = DEFAULT_INTERVAL, *, member: str | None = None
    ) -> Detector:
        """The detector in the body of a request, or in a member of it; ids of features do not matter here.

        Where ``default_interval`` is None, as for ``_validate``, it must have a detection interval. Raises ``Refused``.
        """

        def reader(body: Mapping[str, Any]) -> Detector:
            document = body if member is None else as_object(body[member])
            return self._read(document, request.user, default_interval)

        return request.read(reader)

    def _read(self, document: Mapping[str, Any], user: User | None, default_interval: Interval | None) -> Detector:
        return read_detector(
            document,
            limits=self.limits,
            now_ms=0,
            new_id=lambda: "",
            user=user,
            default_interval=default_interval,
        )

    def _check_room(self, detector: Detector) -> None:
        single, many = self._catalog.counts()
        if single + many >= self._settings.max_detectors:
            reason = f"Can't create more than {self._settings.max_detectors} single-stream anomaly detectors."
            raise _invalid("general_settings", reason, 400)
        if detector.category_fields and many >= self._settings.max_hc_detectors:
            reason = f"Can't create more than {self._settings.max_hc_detectors} HC anomaly detectors."
            raise _invalid("general_settings", reason, 400)


def issue_of(refused: Refused) -> dict[str, Any]:
    """The answer of ``_validate`` to a refusal; a refusal that ``_validate`` does not report is raised again.

    >>> issue_of(DetectorInvalid("name", "name should be set"))
    {'detector': {'name': {'message': 'name should be set'}}}
    """
    if isinstance(refused, DetectorInvalid):
        issue: dict[str, Any] = {"message": refused.message}
        if refused.sub_issues:
            issue["sub_issues"] = refused.sub_issues
        return {"detector": {refused.field: issue}}
    if refused.kind == "index_not_found_exception":
        return {"detector": {"indices": {"message": "index does not exist"}}}
    raise refused


def _invalid(field: str, reason: str, status: int) -> DetectorInvalid:
    return DetectorInvalid(field, reason, status=status, kind="status_exception")


def _check_formats(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if sample.example and not sample.records:
            known = sample.source.format and RECORD_FORMATS[sample.source.format]
            what = f"look like {known} and can't be read" if known else "are in no format that is known"
            raise _invalid("indices", f"The newest records of topic {sample.topic} {what}: {sample.example!r}", 400)


def _other_formats(samples: Sequence[Sample]) -> list[str]:
    return [
        f"{sample.source.others} of the sampled records of {sample.topic} are not"
        f" {RECORD_FORMATS[sample.source.format]}, as most are"
        for sample in samples
        if sample.source.others and sample.source.format
    ]


def _filtered(detector: Detector, samples: Sequence[Sample]) -> list[str]:
    matches = compile_query(detector.filter_query)
    records = [record for sample in samples for record in sample.records]
    if not records or any(map(matches, records)):
        return []
    return [f"0 of {len(records)} sampled records match the filter"]


def _holds(sample: Sample) -> str:
    """What records look like that nobody sees as they lie in the topic."""
    if sample.source.format in (None, "json") and sample.source.points is None:
        return ""
    fields = dict.fromkeys(name for name, _ in leaves(sample.records[0]) if not is_kafka_field(name))
    format_ = RECORD_FORMATS[sample.source.format or "json"]
    return f". Its records are {format_}, with the fields {', '.join(islice(fields, 20))}"


def _check_time_field(detector: Detector, samples: Sequence[Sample], now: int) -> TimeUnit | None:
    """The unit of the sampled times, None where they have none of their own."""
    field = detector.time_field
    unit = None if is_kafka_field(field) else detector.time_unit or unit_in(samples, field)
    if not samples:
        problem = f"Timestamp field: ({field}) is not found in index mapping"
        raise _time_field(detector, problem)
    for sample in samples:
        # A topic without records has no known fields; that is reported further on.
        if not sample.records:
            continue
        if not sample.kinds(field):
            problem = f"Timestamp field: ({field}) is not found in the ({sample.topic}) index mapping"
            raise _time_field(detector, problem + _holds(sample))
        if not sample.is_date(field, unit):
            raise _time_field(detector, f"Timestamp field: ({field}) must be of type date")
        _check_plausible(detector, sample, unit, now)
    return unit


def _check_plausible(detector: Detector, sample: Sample, unit: TimeUnit | None, now: int) -> None:
    """Refuse times that can't be meant: a wrong unit would be told by nothing but empty results."""
    field = detector.time_field
    times = [(value, time) for value in sample.values(field) if (time := time_of(value, unit)) is not None]
    wrong = [(value, time) for value, time in times if not EARLIEST <= time <= now + DAY]
    if 2 * len(wrong) > len(times):
        value, time = wrong[0]
        read = "" if unit is None or (isinstance(value, str) and not value.isdecimal()) else f" read as {unit}"
        raise _time_field(
            detector,
            f"Timestamp field: ({field}) holds {shown(value)} in {sample.topic}, which is {moment_text(time)}{read}:"
            " times before 2000 or more than a day ahead are refused. time_unit says how numbers are to be read",
            400,
        )


def _time_field(detector: Detector, problem: str, status: int = 500) -> DetectorInvalid:
    text = f"Validation failed for timefield of {detector.name},  Exceptions: [{problem}]"
    return _invalid("time_field", text, status)


def _check_categories(detector: Detector, samples: Sequence[Sample]) -> list[str]:
    """Warnings of fields of which some values, but not most, are no keywords."""
    read = [sample for sample in samples if sample.records]
    fields = detector.category_field or ()
    if not read or not fields:
        return []
    warnings = []
    found = False
    for field in fields:
        values = [value for sample in read for value in sample.values(field)]
        found = found or bool(values)
        others = [] if is_kafka_field(field) else [value for value in values if kind_of(value) != "keyword"]
        if 2 * len(others) > len(values):
            raise _invalid("category_field", f"Categorical field {field} must be of type keyword or ip.", 500)
        if others:
            warnings.append(
                f"{len(others)} of {len(values)} sampled values of {field} are no texts, such as {shown(others[0])}:"
                " objects and arrays make their records dead letters"
            )
    if not found:
        reason = f"Can't find the categorical field {fields[0]} in index [{', '.join(detector.indices)}]"
        raise _invalid("category_field", reason, 500)
    return warnings


def _check_features_give_values(detector: Detector, samples: Sequence[Sample]) -> None:
    issues = {}
    for feature in detector.feature_attributes:
        problem = _problem(feature.aggregation, samples)
        if problem is not None:
            issues[feature.feature_name] = problem
    if issues:
        message = ", ".join(f"{problem}: {name}" for name, problem in issues.items())
        raise DetectorInvalid(
            "feature_attributes",
            message,
            kind="status_exception",
            reason=f"Validation failed for feature(s) of detector {detector.name} Exceptions: [{message}]",
            sub_issues=issues,
        )


def _problem(aggregation: Aggregation, samples: Sequence[Sample]) -> str | None:
    """Why the newest records give a feature no number; None when they do."""
    matches = None if aggregation.filter is None else compile_query(aggregation.filter)
    values = [
        value
        for sample in samples
        for record in sample.records
        if matches is None or matches(record)
        for value in field_values(record, aggregation.field)
    ]
    if not values:
        return EMPTY
    if aggregation.kind in ("value_count", "cardinality"):
        return None
    return None if any(map(_is_number, values)) else RUNTIME


def _is_number(value: Any) -> bool:
    if kind_of(value) in ("number", "boolean"):
        return True
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def feature_matchers(detector: Detector) -> list[tuple[str, Callable[[Mapping[str, Any]], bool]]]:
    """For each enabled feature, whether a record has a value for it."""
    return [(each.feature_name, _has_value(each.aggregation)) for each in detector.enabled_features]


def _has_value(aggregation: Aggregation) -> Callable[[Mapping[str, Any]], bool]:
    matches = None if aggregation.filter is None else compile_query(aggregation.filter)

    def has_value(record: Mapping[str, Any]) -> bool:
        if matches is not None and not matches(record):
            return False
        return bool(field_values(record, aggregation.field))

    return has_value
