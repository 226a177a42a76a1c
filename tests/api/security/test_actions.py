"""Control actions: who asked stands in the command, what is not one's own cannot be touched, refusals are logged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from argon2 import PasswordHasher

from api.detectors.catalog import StoredDocument
from api.http.routes import ROUTES
from schemas.command import User, decode_event
from schemas.node import Model, Node, RunStatistics, encode_node
from schemas.result import Result, encode_result
from schemas.state import StoredTask, encode
from schemas.task import EntityValue, Task
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
topics = ["*"]
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


SECRET = "belongs-to-ada"


def secrets_of(api: RunningApi, detector: str) -> None:
    """A task, a result and a model of ada's detector, each with an entity that nobody else may see."""
    entity = [EntityValue(name="host", value=SECRET)]
    now = int(time.time() * 1000)
    task = Task(
        task_type="REALTIME_HC_DETECTOR",
        state="RUNNING",
        detector_id=detector,
        is_latest=True,
        execution_start_time=now,
        last_update_time=now,
        error=SECRET,
        user=User(name="root", backend_roles=["b"]),
    )
    result = Result(
        id="r1", detector_id=detector, data_start_time=0, data_end_time=now, anomaly_grade=0.5, entity=entity
    )
    model = Model(
        detector_id=detector, model_id=f"{detector}_{SECRET}", model_type="entity", last_used_time=now,
        last_checkpoint_time=now, entity=entity,
    )  # fmt: skip
    run = RunStatistics(
        detector_id=detector, run=1, entities=1, active_entities=1, rows=1, model_bytes=1, late_records=0, records=1,
        scored_until=None,
    )  # fmt: skip
    counters = dict.fromkeys((name for name in Node.__struct_fields__ if name.startswith("ad_")), 7)
    node = msgspec.convert(
        {**counters, "node_id": "w1", "time": now, "started": now, "model_count": 1, "models": [model], "runs": [run],
         "dead_letters": {SECRET: {"not JSON": 1}}, "unreadable": {SECRET: 2}, "clock_skew_ms": 3},
        Node,
    )  # fmt: skip
    stored = StoredTask(id="secret-task", version=1, control_offset=0, document=task)
    api.topics["state"].produce(b"secret-task", encode(stored), partition=0)
    api.topics["results"].produce(b"k", encode_result(result), partition=0)
    api.topics["nodes"].produce(b"w1", encode_node(node), partition=0)
    for _ in range(600):
        answers = [call(api, "ada", "GET", "/stats"), call(api, "ada", "POST", "/detectors/results/_search", {})]
        tasks = call(api, "ada", "POST", "/detectors/tasks/_search", {})
        if all(SECRET in json.dumps(answer) for _, answer in (*answers, tasks)):
            return
        time.sleep(0.05)
    raise AssertionError("the API did not read them")


def test_no_route_tells_of_what_belongs_to_others(api: RunningApi, detector: str) -> None:
    secrets_of(api, detector)
    hidden = (detector, SECRET, "adas", "opensearch-ad-plugin-result-adas")
    everything = {
        "query": {"match_all": {}},
        "aggs": {"all": {"filter": {"match_all": {}}, "aggs": {"by": {"terms": {"field": "detector_id"}}}}},
    }
    bodies = {"search": everything, "optional": None, "none": None, "required": {"name": "x"}}
    told = []
    for route in ROUTES:
        for method in route.methods:
            if "{detectorID}" in route.tail or method == "HEAD" or route.handler.__name__ in ("create", "delete"):
                continue
            for stat in ("_all", "models"):
                tail = route.tail.replace("{stat}", stat).replace("{nodeId}", "w1").replace("{type}", "detector,model")
                tail = tail.replace("{types}", "history").replace("{resultIndex}", "*")
                for prefix in ("/_plugins/_anomaly_detection", "/_anomaly_detection/api"):
                    url = prefix + tail if route.prefixed else tail
                    content = None if (body := bodies[route.body]) is None else json.dumps(body)
                    answer = api.client.request(method, url, content=content, headers=basic("bob"))
                    told += [(method, url, word) for word in hidden if word in answer.text]
    assert told == []
    status, stats = call(api, "bob", "GET", "/stats")
    node = stats["nodes"]["w1"]  # type: ignore[index]
    assert (status, node["model_count"], node["models"], node["ad_execute_request_count"]) == (200, 0, [], 7)
    assert (stats["detector_count"], stats["single_stream_detector_count"], stats["hc_detector_count"]) == (0, 0, 0)
    assert call(api, "bob", "GET", "/detectors/count")[1]["count"] == 0
    status, stats = call(api, "ada", "GET", "/stats")
    node = stats["nodes"]["w1"]  # type: ignore[index]
    assert (node["model_count"], len(node["models"]), stats["detector_count"]) == (1, 1, 1)
    assert (node["dead_letter_count"], node["unreadable_record_count"], node["clock_skew_ms"]) == (1, 2, 3)
    assert "detectors" not in api.client.get("/_health").json()


def test_result_indices_of_others_cannot_be_guessed(api: RunningApi) -> None:
    """Whether a name exists must not show in which of two answers comes."""
    index = "opensearch-ad-plugin-result-adas"
    document = api.detector(api.source(minute_records()), result_index=index)
    assert call(api, "ada", "POST", "/detectors", document)[0] == 201
    path = "/detectors/results/_search/{}?only_query_custom_result_index=true"
    assert call(api, "ada", "POST", path.format(index), {})[0] == 200
    answers = [call(api, "bob", "POST", path.format(name), {}) for name in (index, index + "-no")]
    assert answers[0] == answers[1]


def test_tasks_are_shown_to_whom_the_detector_belongs(api: RunningApi, detector: str) -> None:
    """Whoever started them: an administrator, or nobody that is known."""
    source = {"task_type": "REALTIME_SINGLE_ENTITY", "detector_id": detector}
    theirs = {"name": "root", "backend_roles": ["b"]}
    api.process.catalog.tasks.put(StoredDocument("t1", 1, 1, {**source, "user": theirs}))
    api.process.catalog.tasks.put(StoredDocument("t2", 1, 2, {**source, "user": theirs, "detector_id": "gone"}))
    for ids, aggregated in (["t1", "t2"], False), (["t1", "t2"], True):
        body: dict[str, object] = {"query": {"ids": {"values": ids}}}
        if aggregated:
            body["aggs"] = {"all": {"filter": {"match_all": {}}, "aggs": {"d": {"terms": {"field": "detector_id"}}}}}
        found = {}
        for who in ("ada", "bob"):
            status, answer = call(api, who, "POST", "/detectors/tasks/_search", body)
            assert status == 200, answer
            found[who] = [hit["_id"] for hit in answer["hits"]["hits"]]  # type: ignore[index]
        assert found == {"ada": ["t1"], "bob": []}
        assert not aggregated or answer["aggregations"]["all"]["doc_count"] == 0  # type: ignore[index]
    for id in ("t1", "t2"):
        api.process.catalog.tasks.delete(id)


def test_who_sees_only_theirs_searches_through_the_indexes_too(api: RunningApi, detector: str) -> None:
    looked = []
    table = api.process.catalog.detectors
    candidates = table.candidates
    table.candidates = lambda condition: looked.append(found := candidates(condition)) or found  # type: ignore[method-assign, func-returns-value]
    try:
        _, answer = call(api, "ada", "POST", "/detectors/_search", {"query": {"term": {"name.keyword": "adas"}}})
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
        ("command executed", "ada", "job.start"),
        ("command refused", "ada", "job.start"),
        ("command executed", "ada", "job.stop"),
    ]
