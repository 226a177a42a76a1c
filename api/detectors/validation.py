"""Validate and suggest."""

from __future__ import annotations

from typing import Any

from api.detectors.checks import Checks, feature_matchers, issue_of
from api.detectors.density import SUGGESTIONS, Data, model_issue, suggestions, timed
from api.detectors.sample import source_of
from api.http.requests import Answer, Request
from api.kafka.source_topics import SourceTopics
from api.security.access import Access
from schemas.detector import Detector
from schemas.errors import Refused
from schemas.interval import Interval
from schemas.query import compile_query
from schemas.token import validation_failed

NEWEST = 20_000
"""Records of each partition that are read to judge how dense the data are."""


async def validate(request: Request, access: Access, checks: Checks, source_topics: SourceTopics) -> Answer:
    """``POST /detectors/_validate[/{type}]``: 200 with the first issue, or with nothing."""
    asked = set(request.path_parameters.get("type", "detector").split(","))
    if not asked & {"detector", "model"}:
        raise Refused(500, "The given validation type doesn't exist", "illegal_state_exception")
    try:
        detector = checks.read(request, default_interval=None)
        access.allow_topics(detector.indices, request)
        await checks.check(detector, request.now)
    except Refused as refused:
        return Answer(issue_of(refused))
    if "model" not in asked:
        return Answer({})
    data = await _data(detector, source_topics)
    matches = compile_query(detector.filter_query)
    return Answer(model_issue(detector, data, request.now, matches, feature_matchers(detector)) or {})


async def suggest(request: Request, access: Access, checks: Checks, source_topics: SourceTopics) -> Answer:
    """``POST /detectors/_suggest/{types}``."""
    asked = [name for name in request.path_parameters["types"].split(",") if name in SUGGESTIONS]
    if not asked:
        raise validation_failed("The given suggest type doesn't exist", "validation_exception")
    try:
        detector = checks.read(request, default_interval=Interval(1, "Minutes"))
    except Refused as refused:
        raise validation_failed(refused.reason, "illegal_argument_exception") from None
    access.allow_topics(detector.indices, request)
    return Answer(suggestions(detector, asked, await _data(detector, source_topics), request.now))


async def _data(detector: Detector, source_topics: SourceTopics) -> Data | None:
    """The newest records of the detector's topics, None when there are none with a time."""
    topics = await source_topics.topics(detector.indices)
    samples = await source_topics.samples(topics, source_of(detector), NEWEST)
    newest = (record for sample in samples for record in sample.records)
    records = timed(newest, detector.time_field, detector.time_unit)
    if not records:
        return None
    first: list[Any] = [
        record for sample in await source_topics.oldest(topics, source_of(detector)) for record in sample.records
    ]
    oldest = timed(first, detector.time_field, detector.time_unit)
    complete = all(sample.total <= len(sample.records) for sample in samples)
    return Data(records, min(records[0][0], oldest[0][0] if oldest else records[0][0]), complete)
