"""Odd paths: literal segments win over parameters, empty segments don't count, ids may be encoded."""

from __future__ import annotations

import pytest

from tests.api.conftest import AD, RunningApi


@pytest.mark.parametrize("path", ["//detectors//x//", "/detectors/x/", "/detectors/%78"])
def test_empty_segments_do_not_count(api: RunningApi, path: str) -> None:
    answer = api.client.get(f"{api.url}{AD}{path}")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "Can't find config with id: x")


@pytest.mark.parametrize(
    ("path", "id"), [("%C3%A4%2F", "ä/"), ("stats", "stats"), ("a%2Fb%3Fc", "a/b?c"), ("%2525", "%25")]
)
def test_an_id_may_be_anything(api: RunningApi, path: str, id: str) -> None:
    answer = api.call("GET", f"/detectors/{path}")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (404, f"Can't find config with id: {id}")


def test_a_parameter_takes_what_no_literal_does(api: RunningApi) -> None:
    assert "_nodes" not in api.call("GET", "/stats").json()
    assert api.call("GET", "/n1/stats").json()["nodes"] == {}
    named = api.call("POST", "/detectors/_validate/_start", {})
    assert named.json()["error"]["reason"] == "The given validation type doesn't exist"


def test_a_literal_hides_the_parameters_other_methods(api: RunningApi) -> None:
    answer = api.call("GET", "/detectors/_validate")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert api.call("PUT", "/detectors/count", {}).status_code == 405
    assert api.call("GET", "/nope/x/y").json() == {
        "error": f"no handler found for uri [{AD}/nope/x/y] and method [GET]"
    }
