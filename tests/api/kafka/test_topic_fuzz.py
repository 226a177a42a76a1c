"""Whatever the newest records of a topic hold, what the API says about them is an answer."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from api.detectors.checks import feature_matchers
from api.detectors.density import Data, model_issue, suggestions, timed
from api.detectors.sample import RawRecord, read_sample, unit_in
from schemas.detector import Detector
from schemas.errors import Refused
from schemas.query import compile_query
from streams.formats.sniff import Told
from streams.schema_registry.client import SchemaRegistry
from tests.schemas.documents import parsed
from tests.schemas.foreign import DETECTORS, PATHS, RECORDS

NOW = 1_795_493_160_667


def accepted(document: dict[str, Any]) -> Detector | None:
    """The detector, if somebody may have such a one."""
    try:
        return parsed(**document)
    except Refused:
        return None


TIMES = st.sampled_from([NOW, str(NOW), 1e300, 10**18, "9" * 5_000, "2026-11-24T00:00:00Z", "9999-12-31", "0001-01-01"])
TIMED = st.builds(lambda time, x: orjson.dumps({"t": time, "a": x}), TIMES, st.none() | st.integers(0, 9))


@given(DETECTORS.map(accepted).filter(bool), st.lists(RECORDS | TIMED, max_size=8))
def test_a_look_at_a_topic_never_raises(detector: Detector, values: list[bytes | None]) -> None:
    sample = read_sample("m", [*map(RawRecord, values)], len(values), Told(None), SchemaRegistry({}))
    records = sample.records
    for path in PATHS:
        assert sample.kinds(path) <= {"boolean", "number", "keyword", "object"}
        assert isinstance(sample.is_date(path, unit_in([sample], path)), bool)
    found = timed(records, detector.time_field)
    data = Data(found, found[0][0], True) if found else None
    issue = model_issue(detector, data, NOW, compile_query(detector.filter_query), feature_matchers(detector))
    answers = suggestions(detector, ["detection_interval", "history", "window_delay"], data, NOW)
    assert orjson.loads(orjson.dumps([issue, answers])) == [issue, answers]


def test_deeply_nested_records_are_looked_at() -> None:
    record = RawRecord(b'{"a":' + b"[" * 200 + b"1" + b"]" * 200 + b"}")
    assert read_sample("m", [record], 1, Told(None), SchemaRegistry({})).kinds("a") == {"number"}
