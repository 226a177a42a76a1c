"""Control actions: who asked stands in the command, what is not one's own cannot be touched, refusals are logged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
import structlog
from argon2 import PasswordHasher

from api.route_table import ROUTES
from api.views.catalog import Document
from schemas.command import decode_event
from tests.api.conftest import AD, RunningApi, minute_records, running_api
from tests.conftest import Broker

FAST = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
EVERYTHING = '["detector/*", "detectors/*", "tasks/*", "result/*", "results/*"]'


def basic(name: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{name}:{name}".encode()).decode()
    return {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Two users who may do everything, each with what is theirs, and one who may look."""
    file = tmp_path_factory.mktemp("users") / "users.toml"
    file.write_text(f"""
filter_by_backend_role = true
[roles.everything]
permissions = {EVERYTHING}
[users.ada]
password = "{FAST.hash("ada")}"
roles = ["everything"]
backend_roles = ["a"]
[users.bob]
password = "{FAST.hash("bob")}"
roles = ["everything"]
backend_roles = ["b"]
[users.eve]
password = "{FAST.hash("eve")}"
roles = ["read"]
backend_roles = ["a"]
""")
    with running_api(broker, users=file) as running:
        yield running


def call(api: RunningApi, who: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    content = None if body is None else json.dumps(body)
    answer = api.client.request(method, AD + path, content=content, headers=basic(who))
    return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def detector(api: RunningApi) -> str:
    """The id of a detector of ada's."""
    _, created = call(api, "ada", "POST", "/detectors", api.detector(api.source(minute_records()), name="adas"))
    return str(created["_id"])


def test_every_command_carries_the_user(api: RunningApi) -> None:
    source = api.source(minute_records())
    document = api.detector(source)
    _, created = call(api, "ada", "POST", "/detectors", document)
    path, span = f"/detectors/{created['_id']}", {"start_time": 1, "end_time": int(time.time() * 1000)}
    period = {"period_start": 1, "period_end": span["end_time"]}
    for method, tail, body in [
        ("PUT", "", document),
        ("POST", "/_start", None),
        ("POST", "/_stop", None),
        ("POST", "/_start", span),
        ("POST", "/_stop?historical=true", None),
        ("POST", "/_preview", period),
        ("DELETE", "", None),
    ]:
        status, answer = call(api, "ada", method, path + tail, body)
        assert status == 200, answer
    events = [decode_event(message.value()) for message in api.topics["control"].everything()]
    kinds = {str(event.__struct_config__.tag) for event in events}
    assert kinds >= {"detector.put", "detector.delete", "job.start", "job.stop", "history.start", "history.stop"}
    assert {None if event.user is None else event.user.name for event in events} == {"ada"}


def test_what_belongs_to_others_cannot_be_reached(api: RunningApi, detector: str) -> None:
    body = {
        **api.detector(api.source(minute_records())),
        "start_time": 1,
        "end_time": 2,
        "start_time_ms": 1,
        "end_time_ms": 2,
        "period_start": 1,
        "period_end": 2,
    }
    del body["detection_interval"]
    reached = []
    for route in ROUTES:
        for method in route.methods:
            if "{detectorID}" not in route.tail or method == "HEAD":
                continue
            path = route.tail.replace("{detectorID}", detector).replace("{type}", "state")
            sent = None if route.body == "none" or "_profile" in path else body
            status, answer = call(api, "bob", method, path, sent)
            reason = f"User does not have permissions to access config: {detector}"
            if (status, answer.get("error", {}).get("reason")) != (403, reason):  # type: ignore[attr-defined]
                reached.append((method, path, status, answer))
    assert reached == []
    for search in ("/detectors/_search", "/detectors/tasks/_search", "/detectors/results/_search"):
        status, answer = call(api, "bob", "POST", search, {"query": {"match_all": {}}, "track_total_hits": True})
        assert status == 200 or answer["error"]["type"] == "index_not_found_exception"  # type: ignore[index]
        assert status != 200 or answer["hits"]["total"]["value"] == 0  # type: ignore[index]
    assert call(api, "ada", "GET", f"/detectors/{detector}")[0] == 200


def test_tasks_are_shown_to_whom_the_detector_belongs(api: RunningApi, detector: str) -> None:
    """Whoever started them: an administrator, or nobody that is known."""
    source = {"task_type": "REALTIME_SINGLE_ENTITY", "detector_id": detector}
    theirs = {"name": "root", "backend_roles": ["b"]}
    api.services.catalog.tasks.put(Document("t1", 1, 1, {**source, "user": theirs}))
    api.services.catalog.tasks.put(Document("t2", 1, 2, {**source, "user": theirs, "detector_id": "gone"}))
    for ids, aggregated in (["t1", "t2"], False), (["t1", "t2"], True):
        body: dict[str, object] = {"query": {"ids": {"values": ids}}}
        if aggregated:
            body["aggs"] = {"all": {"global": {}, "aggs": {"d": {"terms": {"field": "detector_id"}}}}}
        found = {}
        for who in ("ada", "bob"):
            status, answer = call(api, who, "POST", "/detectors/tasks/_search", body)
            assert status == 200, answer
            found[who] = [hit["_id"] for hit in answer["hits"]["hits"]]  # type: ignore[index]
        assert found == {"ada": ["t1"], "bob": []}
        assert not aggregated or answer["aggregations"]["all"]["doc_count"] == 0  # type: ignore[index]
    for id in ("t1", "t2"):
        api.services.catalog.tasks.delete(id)


def test_who_sees_only_theirs_searches_through_the_indexes_too(api: RunningApi, detector: str) -> None:
    looked = []
    table = api.services.catalog.detectors
    candidates = table.candidates
    table.candidates = lambda condition: looked.append(found := candidates(condition)) or found  # type: ignore[method-assign, func-returns-value]
    try:
        _, answer = call(api, "ada", "POST", "/detectors/_search", {"query": {"term": {"name": "adas"}}})
    finally:
        table.candidates = candidates  # type: ignore[method-assign]
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == [detector]  # type: ignore[index]
    assert [len(each) for each in looked] == [1]


def test_refusals_are_logged_with_user_and_action(api: RunningApi, detector: str) -> None:
    with structlog.testing.capture_logs() as lines:
        assert call(api, "eve", "DELETE", f"/detectors/{detector}")[0] == 403
        assert call(api, "bob", "POST", f"/detectors/{detector}/_start")[0] == 403
        call(api, "ada", "POST", f"/detectors/{detector}/_start")
        assert call(api, "ada", "POST", f"/detectors/{detector}/_start")[1]["error"]
        assert call(api, "ada", "POST", f"/detectors/{detector}/_stop")[0] == 200
    kept = [(line["event"], line.get("user"), line.get("action")) for line in lines if "action" in line]
    assert kept == [
        ("permission denied", "eve", "detector/delete"),
        ("permission denied", "bob", f"POST {AD}/detectors/{detector}/_start"),
        ("command carried out", "ada", "job.start"),
        ("command refused", "ada", "job.start"),
        ("command carried out", "ada", "job.stop"),
    ]
