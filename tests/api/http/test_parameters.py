"""Parameters of requests, as OpenSearch reads them."""

from __future__ import annotations

import pytest

from tests.api.conftest import RunningApi, minute_records


@pytest.fixture(scope="module")
def detector(api: RunningApi) -> str:
    created = api.call("POST", "/detectors", api.detector(api.source(minute_records()), name="p")).json()
    return str(created["_id"])


def refused(api: RunningApi, method: str, path: str, body: object = None) -> tuple[int, str, str]:
    answer = api.call(method, path, body)
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["reason"]


@pytest.mark.parametrize("name", ["pretty", "human", "error_trace", "job", "task"])
def test_flags_are_true_or_false(api: RunningApi, detector: str, name: str) -> None:
    assert refused(api, "GET", f"/detectors/{detector}?{name}=maybe") == (
        400,
        "illegal_argument_exception",
        "Failed to parse value [maybe] as only [true] or [false] are allowed.",
    )
    for value in ("", "=true", "=false"):
        assert api.call("GET", f"/detectors/{detector}?{name}{value}").status_code == 200


def test_another_version_is_not_found(api: RunningApi, detector: str) -> None:
    path = f"/detectors/{detector}?version="
    assert [api.call("GET", path + version).status_code for version in ("1", "-3", "2")] == [200, 200, 404]
    assert refused(api, "GET", path + "x")[2] == "Failed to parse long parameter [version] with value [x]"


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("if_seq_no=1", "Validation Failed: 1: ifSeqNo is set, but primary term is [0];"),
        ("if_seq_no=1&if_primary_term=0", "Validation Failed: 1: ifSeqNo is set, but primary term is [0];"),
        ("if_primary_term=1", "Validation Failed: 1: ifSeqNo is unassigned, but primary term is [1];"),
        ("if_seq_no=-1&if_primary_term=1", "sequence numbers must be non negative. got [-1]."),
        ("if_seq_no=1&if_primary_term=-1", "primary term must be non negative. got [-1]"),
        ("if_seq_no=x&if_primary_term=1", "Failed to parse long parameter [if_seq_no] with value [x]"),
    ],
)
def test_concurrency_control_needs_both_numbers(api: RunningApi, detector: str, parameters: str, reason: str) -> None:
    status, _, found = refused(api, "PUT", f"/detectors/{detector}?{parameters}", {})
    assert (status, found) == (400, reason)


def test_timeout_of_stats_is_a_time(api: RunningApi) -> None:
    assert api.call("GET", "/stats?timeout=1s").status_code == 200
    assert refused(api, "GET", "/stats?timeout=5")[2] == (
        "failed to parse setting [StatsRequest.timeout] with value [5] as a time value: unit is missing or unrecognized"
    )


def test_times_in_bodies_may_be_digits_in_a_string(api: RunningApi, detector: str) -> None:
    preview = f"/detectors/{detector}/_preview"
    assert api.call("POST", preview, {"period_start": "1", "period_end": 2}).status_code == 200
    assert api.call("POST", preview, {"period_start": "2", "period_end": 2}).text == (
        "Period start date should be before end date"
    )
    assert refused(api, "POST", preview, {"period_start": "x", "period_end": 2})[2] == 'For input string: "x"'
    assert refused(api, "POST", preview, {"period_start": [1], "period_end": 2}) == (
        400,
        "parsing_exception",
        "Failed to parse object: unexpected token [START_ARRAY] found",
    )


def test_a_single_run(api: RunningApi, detector: str) -> None:
    path = f"/detectors/{detector}/_run"
    # The coordinator of these tests ends every analysis with one result that lies far in the past.
    verdict = api.call("POST", path, {"period_start": 10, "period_end": 60_000}).json()
    assert verdict["anomalyGrade"] == "NaN"
    assert (verdict["error"], verdict["rcfTotalUpdates"]) == ("No data in current detection window", 1)
    verdict = api.call("POST", path, {"period_start": 0, "period_end": 60_000}).json()
    assert (verdict["anomalyGrade"], verdict["anomalyScore"], verdict["error"]) == (0.5, "NaN", None)
    assert refused(api, "POST", "/detectors/nope/_run", {"period_start": 0, "period_end": 1}) == (
        500,
        "end_run_exception",
        "config is not available.",
    )
    many = api.detector(api.source(minute_records()), category_field=["host"])
    id = api.call("POST", "/detectors", many).json()["_id"]
    assert "no single result" in api.call("POST", f"/detectors/{id}/_run", {"period_start": 0, "period_end": 1}).text


def test_the_entity_of_a_profile_is_read_from_the_parameters_first(api: RunningApi) -> None:
    many = api.detector(api.source(minute_records()), category_field=["host"])
    id = api.call("POST", "/detectors", many).json()["_id"]
    path = f"/detectors/{id}/_profile/entity_info?category_field=host&entity="
    nobody, somebody = {"entity": [{"name": "nope", "value": "x"}]}, {"entity": [{"name": "host", "value": "h1"}]}
    assert api.call("POST", path + "h1", nobody).json() == {}
    assert api.call("POST", path + "h9", somebody).json()["error"]["reason"] == "Cannot find entity"
