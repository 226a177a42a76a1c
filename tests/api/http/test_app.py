"""The HTTP layer as OpenSearch's: paths, methods, parameters, bodies, content types."""

from __future__ import annotations

import pytest

from tests.api.conftest import AD, RunningApi

ENVELOPE = {"root_cause", "type", "reason"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/detectors", {"POST"}),
        ("POST", "/detectors/x", {"HEAD", "DELETE", "GET", "PUT"}),
        ("PATCH", "/detectors/x", {"HEAD", "DELETE", "GET", "PUT"}),
        ("GET", "/detectors/_validate", {"POST"}),
        ("POST", "/detectors/_suggest", {"HEAD", "DELETE", "GET", "PUT"}),
        ("POST", "/stats", {"GET"}),
        ("PUT", "/detectors/x/_profile", {"GET", "POST"}),
    ],
)
def test_wrong_method(api: RunningApi, method: str, path: str, allowed: set[str]) -> None:
    answer = api.client.request(method, AD + path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(",")) == allowed
    start = f"Incorrect HTTP method for uri [{AD + path}] and method [{method}], allowed: ["
    assert answer.json()["error"].startswith(start)
    assert answer.json()["status"] == 405
    options = api.client.request("OPTIONS", AD + path)
    assert (options.status_code, options.text, set(options.headers["allow"].split(","))) == (200, "", allowed)


def test_the_http_layer(api: RunningApi) -> None:
    client = api.client
    unknown = client.get(AD + "/insights/_results?x=1")
    assert (unknown.status_code, unknown.json()) == (
        400,
        {"error": f"no handler found for uri [{AD}/insights/_results?x=1] and method [GET]"},
    )
    text = client.post(AD + "/detectors", content="name=x", headers={"Content-Type": "text/plain"})
    assert (text.status_code, text.json()) == (
        406,
        {"error": "Content-Type header [text/plain] is not supported", "status": 406},
    )
    head = client.head(AD + "/detectors/nope")
    assert (head.status_code, head.content) == (404, b"")
    later = client.post("/_opendistro/_anomaly_detection/detectors/_validate", content="{}")
    assert later.status_code == 405

    reasons = {
        ("POST", "/detectors?foo=bar", b"{}"): f"request [{AD}/detectors] contains unrecognized parameter: [foo]",
        ("GET", "/detectors/x?tasks=1", b""): (
            f"request [{AD}/detectors/x] contains unrecognized parameter: [tasks] -> did you mean [task]?"
        ),
        ("GET", "/detectors/x?job=maybe", b""): (
            "Failed to parse value [maybe] as only [true] or [false] are allowed."
        ),
        ("POST", "/detectors/x/_stop", b"{}"): (
            f"request [POST {AD}/detectors/x/_stop] does not support having a body"
        ),
        ("POST", "/detectors", b""): "request body is required",
        ("POST", "/detectors", b"[1]"): (
            "Failed to parse object: expecting token of type [START_OBJECT] but found [START_ARRAY]"
        ),
        ("PUT", "/detectors/x?if_seq_no=1", b"{}"): ("Validation Failed: 1: ifSeqNo is set, but primary term is [0];"),
    }
    for (method, path, body), reason in reasons.items():
        headers = {"Content-Type": "application/json"} if body else {}
        answer = client.request(method, AD + path, content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error.keys() >= ENVELOPE
        assert error["reason"] == reason


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"a":', "json_e_o_f_exception"),
        (b'{"a":1,}', "json_parse_exception"),
        (b'"\xff"', "json_parse_exception"),
        (b'{"a":NaN}', "json_parse_exception"),
        (b"[" * 3000, "json_parse_exception"),
    ],
)
def test_malformed_json(api: RunningApi, body: bytes, kind: str) -> None:
    answer = api.client.post(AD + "/detectors", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == kind
    assert "line: 1, column: " in answer.json()["error"]["reason"]


def test_shapes_of_answers(api: RunningApi) -> None:
    assert api.client.get("/?filter_path=version.number").json() == {"version": {"number": "3.6.0"}}
    assert api.client.get("/?pretty").text.startswith('{\n  "name"')
    assert api.client.get("/").headers["content-type"] == "application/json; charset=UTF-8"
    assert api.client.head("/").content == b""


def test_bodies_above_the_limit_are_refused(api: RunningApi) -> None:
    body = b'{"a":"' + b"x" * api.process.settings.max_body_bytes + b'"}'
    answer = api.client.post(AD + "/detectors", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["error"].keys() >= ENVELOPE
    assert api.client.get("/").status_code == 200


def test_pages_from_elsewhere_are_not_served(api: RunningApi) -> None:
    path = AD + "/detectors/count"
    assert api.client.get(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert api.client.get(path, headers={"Origin": api.url}).status_code == 200


def test_names_that_lead_here_are_not_served_while_nobody_is_asked(api: RunningApi) -> None:
    path, evil = AD + "/detectors/count", "rebound.example:9200"
    for headers in ({"Host": evil}, {"Host": evil, "Origin": f"http://{evil}"}):
        refused = api.client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "security_exception")
        assert "RIVERWATCH_USERS" in refused.json()["error"]["reason"]
    for host in ("localhost:9200", "127.0.0.1", "[::1]:9200", "LOCALHOST"):
        assert api.client.get(path, headers={"Host": host}).status_code == 200
