"""The detector document: what to watch, how to aggregate it, what to ignore."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from schemas.command import User
from schemas.detector_check import DetectorLimits, check_members, check_name
from schemas.errors import DetectorInvalid, Refused, first_cause
from schemas.feature import Feature, check_features, parse_features
from schemas.imputation import Imputation, parse_imputation
from schemas.interval import Interval, parse_interval
from schemas.query import MatchAll, Query, compile_query, parse_query, to_document
from schemas.record_format import RECORD_FORMATS, RecordFormat
from schemas.suppression import Rule, default_rules, parse_rules
from schemas.task import DateRange
from schemas.time_unit import TIME_UNITS, TimeUnit
from schemas.token import as_array, as_boolean, as_integer, as_object, as_text, illegal_argument, token
from schemas.topic_pattern import matches_topic

__all__ = [
    "DEFAULT_INTERVAL",
    "SHOWN_DELAY",
    "Detector",
    "DetectorLimits",
    "DetectorType",
    "check_name",
    "load_detector",
    "parse_detector",
    "read_detector",
    "render_detector",
    "shown_document",
    "stored_document",
]

DetectorType = Literal["SINGLE_ENTITY", "MULTI_ENTITY"]

DEFAULT_INTERVAL = Interval(10, "Minutes")
SHOWN_DELAY = Interval(0, "Seconds")
"""What the API shows of a window delay that is automatic: clients know OpenSearch's default."""

DEFAULT_SHINGLE = 8
DEFAULT_RECENCY = 2560
INITIAL_SAMPLES = 32
"""Samples that a model needs to be initialised; the default history is this many and one shingle."""

_LONG = 2**63 - 1
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;"))


_LIMITS: dict[str, Any] = dict.fromkeys(DetectorLimits.__dataclass_fields__, 2**62)
_UNLIMITED = DetectorLimits(**{**_LIMITS, "own_prefix": ""})


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A valid detector. Members are named as in the document; None where the document has none.

    ``description`` is the plain text: the document has it escaped for HTML. ``window_delay`` None is automatic: it
    follows the delays of the records. The last members are extensions: ``model`` is which model scores, with its
    parameters, checked by whoever builds the model; ``time_unit`` is the unit of times that are numbers, None where
    each number tells its own (``schemas.time_unit``); ``format`` is that of the records, None where each tells its own;
    ``points`` is the path of the array in which records of JSON have their points.
    """

    name: str
    description: str = ""
    time_field: str
    indices: tuple[str, ...]
    filter_query: Query = MatchAll()
    window_delay: Interval | None = None
    shingle_size: int = DEFAULT_SHINGLE
    schema_version: int = 0
    feature_attributes: tuple[Feature, ...] = ()
    recency_emphasis: int = DEFAULT_RECENCY
    history: int
    ui_metadata: dict[str, Any] | None = None
    last_update_time: int
    category_field: tuple[str, ...] | None = None
    user: User | None = None
    result_index: str | None = None
    imputation_option: Imputation | None = None
    suggested_seasonality: int | None = None
    result_index_min_size: int | None = None
    result_index_min_age: int | None = None
    result_index_ttl: int | None = None
    flatten_custom_result_index: bool | None = None
    last_ui_breaking_change_time: int | None = None
    frequency: Interval | None = None
    auto_created: bool = False
    detection_interval: Interval
    detection_date_range: DateRange | None = None
    rules: tuple[Rule, ...] = ()
    model: dict[str, Any] | None = None
    time_unit: TimeUnit | None = None
    format: RecordFormat | None = None
    points: str | None = None

    @property
    def detector_type(self) -> DetectorType:
        """Whether each entity has a model of its own."""
        return "MULTI_ENTITY" if self.category_field else "SINGLE_ENTITY"

    @property
    def category_fields(self) -> tuple[str, ...]:
        """The category fields in the order in which an entity's values stand."""
        return tuple(sorted(self.category_field or ()))

    @property
    def enabled_features(self) -> tuple[Feature, ...]:
        """The features that are scored: the columns of every window, in this order."""
        return tuple(feature for feature in self.feature_attributes if feature.feature_enabled)

    @property
    def window_interval_ms(self) -> int:
        """The length of a window."""
        return self.detection_interval.milliseconds

    @property
    def window_delay_ms(self) -> int:
        """How long after its end a window waits for records in any case: 0 where that is automatic."""
        return 0 if self.window_delay is None else self.window_delay.milliseconds

    @property
    def run_interval(self) -> Interval:
        """How often the job runs: the frequency, or else the detection interval."""
        return self.frequency or self.detection_interval

    def reads(self, topic: str) -> bool:
        """Whether the detector's ``indices`` name this topic: exactly or by a pattern with ``*``."""
        return any(matches_topic(name, topic) for name in self.indices)


def parse_detector(
    document: Any,
    *,
    limits: DetectorLimits,
    now_ms: int,
    new_id: Callable[[], str],
    user: User | None = None,
    default_interval: Interval | None = DEFAULT_INTERVAL,
) -> Detector:
    """Read and check a detector as a client sends it; unknown members are skipped, as the server's own are.

    Everything that can be told from the document alone is checked, in OpenSearch's order and words: raises
    ``DetectorInvalid`` for what ``_validate`` reports as an issue, ``Refused`` (400) for what is no detector
    document at all. ``new_id`` gives the ids of features that have none. ``default_interval`` stands in for a
    missing ``detection_interval``; with None it must be there.
    """
    detector = read_detector(
        document, limits=limits, now_ms=now_ms, new_id=new_id, user=user, default_interval=default_interval
    )
    check_name(detector.name, limits)
    check_features(detector.feature_attributes, limits.max_features)
    return detector


def read_detector(
    document: Any,
    *,
    limits: DetectorLimits,
    now_ms: int,
    new_id: Callable[[], str],
    user: User | None = None,
    default_interval: Interval | None = DEFAULT_INTERVAL,
) -> Detector:
    """The first part of ``parse_detector``, which a server finishes before it looks at the topics.

    ``check_name`` follows it, then come the checks of the data, then ``schemas.feature.check_features``.
    """
    members = _members(as_object(document), new_id) | {"last_update_time": now_ms, "user": user}
    return _build(members, limits, default_interval)


def load_detector(document: Mapping[str, Any]) -> Detector:
    """Read a detector document that this system wrote (``StoredDetector.document``), whatever the limits are.

    ``load_detector(stored_document(detector)) == detector``.
    """
    members = _members(document, lambda: "")
    members["last_update_time"] = document["last_update_time"]
    members["user"] = msgspec.convert(document["user"], User) if "user" in document else None
    return _build(members, _UNLIMITED, None)


def stored_document(detector: Detector) -> dict[str, Any]:
    """The JSON form as it is stored: an automatic ``window_delay`` is left out."""
    document = render_detector(detector)
    if detector.window_delay is None:
        del document["window_delay"]
    return document


def shown_document(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document as the API shows it: with 0 seconds, OpenSearch's default, for an automatic ``window_delay``.

    >>> shown_document({"filter_query": {}, "shingle_size": 8})["window_delay"]
    {'period': {'interval': 0, 'unit': 'Seconds'}}
    """
    if "window_delay" in stored:
        return dict(stored)
    shown: dict[str, Any] = {}
    for name, value in stored.items():
        shown[name] = value
        if name == "filter_query":
            shown["window_delay"] = SHOWN_DELAY.document()
    return shown


def render_detector(detector: Detector) -> dict[str, Any]:
    """The JSON form as the API shows it, with OpenSearch's order of members."""
    delay = detector.window_delay or SHOWN_DELAY
    shown = {name: _shown(value) for name, value in msgspec.structs.asdict(detector).items()} | {
        "window_delay": delay.document()
    }
    shown["description"] = _escape(detector.description)
    shown["filter_query"] = to_document(detector.filter_query)
    extensions = {name: value for name in _EXTENSIONS if (value := shown.pop(name)) is not None}
    rules = shown.pop("rules")
    optional = {name for name, value in shown.items() if value is None}
    if not detector.auto_created:
        optional.add("auto_created")
    document = {name: value for name, value in shown.items() if name not in optional}
    date_range = document.pop("detection_date_range", None)
    document["detector_type"] = detector.detector_type
    if date_range is not None:
        document["detection_date_range"] = date_range
    document["rules"] = rules
    return document | extensions


def _shown(value: Any) -> Any:
    if isinstance(value, Interval | Feature | Rule | Imputation):
        return value.document()
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value


def _escape(text: str) -> str:
    for character, entity in _ESCAPES:
        text = text.replace(character, entity)
    return text


def _plain(text: str) -> str:
    for character, entity in reversed(_ESCAPES):
        text = text.replace(entity, character)
    return text


def _members(document: Mapping[str, Any], new_id: Callable[[], str]) -> dict[str, Any]:
    """Every known member, read in the order of the document: what stands first is refused first."""
    members = {
        name: _READERS[name](value)
        for name, value in document.items()
        if name in _READERS and not (value is None and name in _NULLABLE)
    }
    if "feature_attributes" in members:
        name = members.get("name", "")
        members["feature_attributes"] = parse_features(members["feature_attributes"], name, new_id)
    return members


def _build(members: dict[str, Any], limits: DetectorLimits, default_interval: Interval | None) -> Detector:
    if not members.get("result_index"):
        for name in ("min_size", "min_age", "ttl"):
            members.pop(f"result_index_{name}", None)
        members.pop("flatten_custom_result_index", None)
    seasonality = members.get("suggested_seasonality")
    members.setdefault("shingle_size", DEFAULT_SHINGLE if seasonality is None else seasonality // 2)
    members.setdefault("history", INITIAL_SAMPLES + members["shingle_size"])
    if default_interval is not None:
        members.setdefault("detection_interval", default_interval)
    features: tuple[Feature, ...] = members.get("feature_attributes", ())
    check_members(members, features, limits)
    if not members.get("rules"):
        members["rules"] = default_rules([each.feature_name for each in features if each.feature_enabled])
    return Detector(**members)


def _read_filter(value: Any) -> Query:
    if not as_object(value):
        return MatchAll()
    try:
        query = parse_query(value)
        # A pattern or a date that can't be used is refused here: the workers have nobody to refuse it to.
        compile_query(query)
        return query
    except Refused as refused:
        if refused.kind == "illegal_argument_exception":
            raise
        raise DetectorInvalid(
            "filter_query", f"Custom query error in data filter: {first_cause(refused).reason}"
        ) from None


def _read_categories(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise Refused(
            400,
            f"Failed to parse list:  expecting START_ARRAY but got {token(value)}",
            "x_content_parse_exception",
        )
    names = tuple(as_text(name) for name in value)
    if len(set(names)) < len(names):
        raise illegal_argument("category_field names the same field twice")
    return names


def _read_range(value: Any) -> DateRange:
    bounds = as_object(value)
    for name, words in (("start_time", "start time"), ("end_time", "end time")):
        if bounds.get(name) is None:
            raise illegal_argument(f"Detection data range's {words} must not be null")
    start, end = as_integer(bounds["start_time"], _LONG), as_integer(bounds["end_time"], _LONG)
    if start > end:
        raise illegal_argument("Detection data range's end time must be after start time")
    return DateRange(start, end)


def _one_of(member: str, value: Any, known: Iterable[str]) -> str | None:
    """One of the known words, None for ``auto``."""
    name = as_text(value)
    if name != "auto" and name not in known:
        raise DetectorInvalid(member, f"{member} must be one of: auto, {', '.join(known)}; not [{name}]")
    return None if name == "auto" else name


_OPTIONAL = """
ui_metadata result_index result_index_min_size result_index_min_age result_index_ttl flatten_custom_result_index
suggested_seasonality last_ui_breaking_change_time imputation_option frequency detection_date_range rules model
time_unit format points
"""
_NULLABLE = frozenset(_OPTIONAL.split())
"""Members for which null means the same as leaving them out."""

_EXTENSIONS = ("model", "time_unit", "format", "points")
"""Members that OpenSearch does not have, shown where they are set."""

_READERS: dict[str, Callable[[Any], Any]] = {
    "name": as_text,
    "description": lambda value: _plain(as_text(value)),
    "time_field": as_text,
    "indices": lambda value: tuple(as_text(name) for name in as_array(value)),
    "filter_query": _read_filter,
    "window_delay": lambda value: parse_interval(
        value, "window_delay", "Window delay interval must be a positive integer"
    ),
    "shingle_size": as_integer,
    "schema_version": as_integer,
    "feature_attributes": lambda value: value,
    "recency_emphasis": as_integer,
    "history": as_integer,
    "ui_metadata": lambda value: dict(as_object(value)),
    "category_field": _read_categories,
    "result_index": as_text,
    "imputation_option": parse_imputation,
    "suggested_seasonality": as_integer,
    "result_index_min_size": as_integer,
    "result_index_min_age": as_integer,
    "result_index_ttl": as_integer,
    "flatten_custom_result_index": as_boolean,
    "last_ui_breaking_change_time": lambda value: as_integer(value, _LONG),
    "frequency": lambda value: parse_interval(value, "frequency", "Frequency must be a positive integer"),
    "auto_created": as_boolean,
    "detection_interval": lambda value: parse_interval(
        value, "detection_interval", "Detection interval must be a positive integer"
    ),
    "detection_date_range": _read_range,
    "rules": parse_rules,
    "model": lambda value: dict(as_object(value)),
    "time_unit": lambda value: _one_of("time_unit", value, TIME_UNITS),
    "format": lambda value: _one_of("format", value, RECORD_FORMATS),
    "points": lambda value: as_text(value) or None,
}
