"""Each limit is kept to, and refused as OpenSearch refuses it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.detectors.catalog import StoredDocument
from api.results.queries import Queries
from api.results.store import ResultsStore
from api.search import TASKS, search_documents
from api.search.deadline import Deadline
from api.search.request import parse_search
from api.search.sql.slice import Run
from schemas.errors import Refused
from tests.api.conftest import AD, RunningApi, minute_records, running_api
from tests.api.results.test_routes import create, result, write
from tests.api.search.documents import TASK_DOCUMENTS
from tests.conftest import Broker
from tests.deadlines import REQUEST, eventually

PATIENCE = 3.0


@pytest.fixture(scope="module")
def api(broker: Broker) -> Iterator[RunningApi]:
    """An API that allows little."""
    with running_api(
        broker,
        max_body_bytes=6000,
        max_clauses=20,
        max_query_depth=4,
        max_buckets=10,
        max_top_hits=5,
        max_detectors=2,
        max_hc_detectors=1,
        max_features=1,
        category_field_limit=2,
        max_previews=0,
    ) as running:
        for number in range(12):
            write(running, [result("d", number, "h", 0.5)])
        id = create(running)
        assert running.call("POST", f"/detectors/{id}/_start").status_code == 200
        yield running


def nested(depth: int) -> dict[str, Any]:
    query: dict[str, Any] = {"match_all": {}}
    for _ in range(depth):
        query = {"bool": {"filter": [query]}}
    return {"query": query}


def aggregated(depth: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(depth):
        body = {"aggs": {"a": {"filter": {"match_all": {}}, **body}}}
    return body


HITS: dict[str, Any] = {
    "aggs": {"a": {"filters": {"filters": [{"match_all": {}}] * 2}, "aggs": {"t": {"top_hits": {}}}}}
}
MANY: dict[str, Any] = {"aggs": {"a": {"filters": {"filters": [{"match_all": {}}] * 11}}}}


@pytest.mark.parametrize("path", ["results/_search", "tasks/_search", "_search"])
@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (nested(5), "illegal_argument_exception", "indices.query.bool.max_nested_depth]: [4]"),
        (aggregated(6), "illegal_argument_exception", "nested deeper than [4]"),
        (
            {"query": {"bool": {"should": [{"term": {"a": n}} for n in range(30)]}}},
            "illegal_argument_exception",
            "maxClauseCount is set to 20",
        ),
        (HITS, "illegal_argument_exception", "less than or equal to: [5] in all buckets together but was [6]"),
        (MANY, "too_many_buckets_exception", "less than or equal to: [10]"),
        (
            {
                "aggs": {
                    "a": {
                        "filter": {"exists": {"field": "f"}},
                        "aggs": {str(n): {"max": {"field": "f"}} for n in range(100)},
                    }
                }
            },
            "illegal_argument_exception",
            "too many aggregations. Must be less than or equal to: [100] but was [101]",
        ),
    ],
    ids=["depth of a query", "depth of aggregations", "clauses", "top hits", "buckets", "aggregations"],
)
def test_searches(api: RunningApi, path: str, body: dict[str, Any], kind: str, said: str) -> None:
    answer = api.call("POST", f"/detectors/{path}", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, kind)
    assert said in error["reason"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sort": ["detector_id"] * 33}, "too many sort keys"),
        ({"docvalue_fields": ["a"] * 101}, "too many docvalue_fields"),
        ({"_source": ["a"] * 1025}, "too many names in _source"),
    ],
    ids=["sort", "docvalue_fields", "_source"],
)
def test_members_of_a_search(body: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        parse_search(body)


def test_what_is_within_the_limits_is_answered(api: RunningApi) -> None:
    for body in (nested(3), aggregated(4), {"query": {"bool": {"should": [{"term": {"a": n}} for n in range(9)]}}}):
        assert api.call("POST", "/detectors/results/_search", body).status_code == 200


def test_a_body_that_is_too_large(api: RunningApi) -> None:
    for content in (b" " * 6001, iter([b" " * 4000] * 2)):  # the second comes in chunks and does not say its length
        answer = api.client.post(AD + "/detectors", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "content_too_long_exception")
        assert "6000 bytes" in answer.json()["error"]["reason"]


@pytest.fixture(scope="module")
def hasty(broker: Broker) -> Iterator[RunningApi]:
    """An API that gives up soon."""
    with running_api(
        broker,
        max_body_bytes=6000,
        max_arriving_bytes=6000,
        max_concurrent_requests=3,
        request_timeout=PATIENCE,
        body_timeout=1.0,
    ) as running:
        assert running.call("POST", f"/detectors/{create(running)}/_start").status_code == 200
        yield running


def unfinished(api: RunningApi, sent: bytes = b"{") -> socket.socket:
    """A request of whose body no more than this comes."""
    address = urlsplit(api.url)
    assert address.hostname is not None
    assert address.port is not None
    connection = socket.create_connection((address.hostname, address.port), timeout=REQUEST)
    lines = [
        f"POST {AD}/detectors HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Content-Length: 5000",
        "",
        "",
    ]
    connection.sendall("\r\n".join(lines).encode() + sent)
    return connection


def answer_on(connection: socket.socket) -> tuple[int, Any]:
    """Status and body of the answer that comes on a connection."""
    head, _, rest = connection.recv(100_000).partition(b"\r\n\r\n")
    while not rest:
        rest = connection.recv(100_000)
    return int(head.split()[1]), json.loads(rest)


def test_bodies_that_do_not_come_keep_nobody_waiting(hasty: RunningApi) -> None:
    waiting = [unfinished(hasty) for _ in range(40)]
    assert hasty.call("GET", "/detectors/count").status_code == 200
    assert hasty.call("POST", "/detectors/results/_search", {"size": 0}).status_code == 200
    for connection in waiting:
        status, body = answer_on(connection)
        assert (status, body["error"]) == (408, "the request body did not arrive within 1 s")
        assert connection.recv(1) == b""  # nothing that comes now is taken for the next request
        connection.close()


def test_bodies_that_do_not_come_take_little_memory(hasty: RunningApi) -> None:
    first = unfinished(hasty, b" " * 4000)
    time.sleep(0.2)
    second = unfinished(hasty, b" " * 4000)
    answers = {answer_on(connection)[0] for connection in (first, second)}
    assert answers == {408, 429}
    for connection in (first, second):
        connection.close()
    whole = {"query": {"term": {"a": "x" * 5000}}}
    assert hasty.call("POST", "/detectors/results/_search", whole).status_code == 200


@pytest.fixture
def long_search(hasty: RunningApi) -> Iterator[dict[str, Any]]:
    """A search of tasks that takes longer than any request may."""
    tasks = hasty.process.catalog.tasks
    source = {"task_type": "REALTIME_SINGLE_ENTITY", "detector_id": "x"}
    for number in range(20_000):
        error = f"{number} " + "so many words " * 40  # each text is split into words once
        tasks.put(StoredDocument(f"long-{number}", 1, number, {**source, "error": error}))
    yield {"query": {"bool": {"should": [{"match": {"error": f"none{n}"}} for n in range(18)]}}}
    for number in range(20_000):
        tasks.delete(f"long-{number}")


def test_too_many_requests_and_too_slow_ones(hasty: RunningApi, long_search: dict[str, Any]) -> None:
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(hasty.call("POST", "/detectors/tasks/_search", long_search)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()

    def refused() -> list[httpx.Response]:
        answer = hasty.call("GET", "/detectors/count")
        return [answer] if answer.status_code == 429 else []

    (answer,) = eventually("all three are being served", refused, seconds=PATIENCE, every=0)
    assert answer.json()["error"]["type"] == "rejected_execution_exception"
    for path in ("/", "/_health", "/_cluster/health?filter_path=status"):
        assert hasty.client.get(path).status_code == 200
    for thread in threads:
        thread.join()
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (504, "timeout_exception")
        assert error["reason"] == "not answered within 3 s"
    assert hasty.call("GET", "/detectors/count").status_code == 200


def test_detectors_that_are_too_large_and_too_many_previews(api: RunningApi) -> None:
    source = api.source(minute_records())

    def reason(path: str, body: object) -> str:
        return str(api.call("POST", path, body).json()["error"]["reason"])

    names = [f"f{number}" for number in range(2)]
    features = [{"feature_name": name, "aggregation_query": {name: {"avg": {"field": "value"}}}} for name in names]
    assert reason("/detectors", api.detector(source, feature_attributes=features)) == (
        "Can't create more than 1 feature(s)"
    )
    assert reason("/detectors", api.detector(source, category_field=["host", "region", "port"])).startswith(
        "Currently we only support up to 2 categorical field/s"
    )
    preview = {"period_start": 1, "period_end": 2, "detector": api.detector(source)}
    assert reason("/detectors/_preview", preview) == "Request throttled. Please try again later."


def test_too_many_detectors(api: RunningApi) -> None:
    source = api.source(minute_records())
    many = api.call("POST", "/detectors", api.detector(source, category_field=["host"]))
    assert many.status_code == 400
    assert many.json()["error"]["reason"] == "Can't create more than 1 HC anomaly detectors."
    assert api.call("POST", "/detectors", api.detector(source)).status_code == 201
    single = api.call("POST", "/detectors", api.detector(source))
    assert single.json()["error"]["reason"] == "Can't create more than 2 single-stream anomaly detectors."


def test_a_search_that_nobody_waits_for_is_broken_off(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    queries = Queries(1, REQUEST, lambda: store)
    begun = threading.Event()

    def endless(run: Run) -> int:
        begun.set()
        return len(run("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7", {}))

    async def ask() -> int:
        first = asyncio.create_task(queries.results(endless))
        await asyncio.to_thread(begun.wait)
        behind = asyncio.create_task(queries.results(endless))
        await asyncio.sleep(0.1)
        for task in (first, behind):
            task.cancel()
        given_up = await asyncio.gather(first, behind, return_exceptions=True)
        assert [type(each) for each in given_up] == [asyncio.CancelledError, asyncio.CancelledError]
        return await queries.results(lambda run: run("SELECT 42", {})[0][0])

    assert asyncio.run(ask()) == 42
    queries.close()
    store.close()


def test_a_long_search_of_tasks_ends_in_time_and_nobody_waits_for_it(
    hasty: RunningApi, long_search: dict[str, Any]
) -> None:
    answers: list[httpx.Response] = []
    search = threading.Thread(
        target=lambda: answers.append(hasty.call("POST", "/detectors/tasks/_search", long_search))
    )
    search.start()
    counted = 0
    while not answers:
        assert hasty.call("GET", "/detectors/count").status_code == 200
        counted += not answers  # told while the search went on
    search.join()
    assert counted > 0
    error = answers[0].json()["error"]
    assert (answers[0].status_code, error["type"]) == (504, "timeout_exception")


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"term": {"detector_id": "d1"}}},
        {"query": {"match_all": {}}, "post_filter": {"term": {"detector_id": "d1"}}},
        {"query": {"match_all": {}}, "sort": ["detector_id"]},
        {"size": 0, "aggs": {"a": {"terms": {"field": "detector_id"}}}},
        {"size": 0, "aggs": {"a": {"max": {"field": "execution_start_time"}}}},
        {"size": 0, "aggs": {"a": {"filter": {"term": {"detector_id": "d1"}}}}},
    ],
    ids=["query", "post_filter", "sort", "groups", "metric", "filter"],
)
def test_every_pass_over_the_documents_looks_at_the_clock(body: dict[str, Any]) -> None:
    deadline = Deadline(60.0)
    assert search_documents(parse_search(body), TASK_DOCUMENTS, TASKS, "tasks", 0, deadline=deadline)["hits"]
    deadline.give_up()
    with pytest.raises(Refused, match="not answered within 60 s"):
        search_documents(parse_search(body), TASK_DOCUMENTS, TASKS, "tasks", 0, deadline=deadline)
