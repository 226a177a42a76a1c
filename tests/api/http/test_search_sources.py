"""Where a search comes from, and what is said when it comes from nowhere."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.conftest import AD, RunningApi, minute_records

SOURCE = quote('{"query":{"match_all":{}}}')
TYPE = "source_content_type=application/json"


@pytest.fixture(scope="module", autouse=True)
def one(api: RunningApi) -> None:
    """One detector, so that there is something to search."""
    assert api.call("POST", "/detectors", api.detector(api.source(minute_records()))).status_code == 201


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "reason"),
    [
        ("", 400, "parse_exception", "request body or source parameter is required"),
        ("?foo=1", 400, "parse_exception", "request body or source parameter is required"),
        (
            f"?source={SOURCE}",
            500,
            "illegal_state_exception",
            "source and source_content_type parameters are required",
        ),
        (
            f"?source={SOURCE}&source_content_type=text/plain",
            500,
            "illegal_state_exception",
            "Unknown value for source_content_type [text/plain]",
        ),
        (
            f"?source={SOURCE}&{TYPE}&foo=1",
            400,
            "illegal_argument_exception",
            f"request [{AD}/detectors/_search] contains unrecognized parameter: [foo]",
        ),
        (f"?source=%5B1%5D&{TYPE}", 400, "parsing_exception", "Expected [START_OBJECT] but found [START_ARRAY]"),
    ],
)
def test_without_a_body(api: RunningApi, parameters: str, status: int, kind: str, reason: str) -> None:
    answer = api.call("GET", "/detectors/_search" + parameters)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.json()["error"]["reason"] == reason


def test_the_source_parameter_stands_for_a_body(api: RunningApi) -> None:
    path = f"/detectors/_search?source={SOURCE}&{TYPE}"
    assert api.call("GET", path).json()["hits"]["total"]["value"] == 1
    both = api.call("POST", path, {"size": 0}).json()["error"]["reason"]
    assert both.endswith("contains unrecognized parameters: [source], [source_content_type]")


def test_what_is_wrong_with_a_body_goes_before_unknown_parameters(api: RunningApi) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.client.post(AD + "/detectors?foo=1", content=b'{"a":1,', headers=headers).json()["error"]
    assert answer["type"] == "json_parse_exception"
    assert answer["reason"].startswith("Unexpected end-of-input within/between Object entries")
    missing = api.call("POST", "/detectors?foo=1").json()["error"]
    assert missing["reason"] == "request body is required"


def test_an_error_within_a_bool_is_wrapped_in_it(api: RunningApi) -> None:
    body: dict[str, object] = {"query": {"bool": {"filter": [{"bool": {"must": {"nope": {}}}}]}}}
    error = api.call("POST", "/detectors/_search", body).json()["error"]
    where = '{"query": {"bool": {"filter": [{"bool": {"must": {"nope": '
    place = {"line": 1, "col": len(where) + 1}
    inner = {"type": "parsing_exception", "reason": "unknown query [nope]", **place}
    assert error["root_cause"] == [inner]
    assert (error["type"], error["reason"]) == (
        "x_content_parse_exception",
        f"[1:{place['col']}] [bool] failed to parse field [filter]",
    )
    assert error["caused_by"] == {
        "type": "x_content_parse_exception",
        "reason": f"[1:{place['col']}] [bool] failed to parse field [must]",
        "caused_by": inner,
    }


def test_a_bool_names_the_member_whose_value_is_refused(api: RunningApi) -> None:
    body: dict[str, object] = {"query": {"bool": {"must": [{"term": {"name": None}}]}}}
    error = api.call("POST", "/detectors/_search", body).json()["error"]
    assert error["reason"].endswith("[bool] failed to parse field [must]")
    assert [each["type"] for each in error["root_cause"]] == ["x_content_parse_exception"]
    assert error["caused_by"]["type"] == "illegal_argument_exception"
