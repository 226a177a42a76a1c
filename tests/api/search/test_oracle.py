"""An Elasticsearch-compatible server confirms what searches find.

It is the one of the package ``noida-db``, where that runs (version 0.2.3 is wrong where ``WRONG`` says so), or the
OpenSearch or Elasticsearch that ``RIVERWATCH_ORACLE=http://127.0.0.1:9200`` names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.search import RESULTS, TASKS, matching_documents
from deploy.local_kafka.broker import free_port
from schemas.query import parse_query
from schemas.query.fields import Types
from tests.api.search.documents import RESULT_SAMPLE, TASK_DOCUMENTS, Found, search
from tests.deadlines import REQUEST, eventually
from tests.processes import bound
from tests.schemas.query.clauses import CLAUSES, NOW

WRONG = {
    "{'term': {'task_progress': 1}}": "1 and 1.0 are different numbers to it",
    "{'term': {'task_progress': '1.0'}}": "1 and 1.0 are different numbers to it",
    '{"a": {"terms": {"field": "task_id", "missing": "none"}}}': "it ignores missing",
    '{"a": {"histogram": {"field": "anomaly_grade", "interval": 0.25}}}': "it leaves gaps out, min_doc_count is 0",
    '"missing": "_first"': "it ignores missing",
    "'minimum_should_match': 0}}": "Lucene wants one of the should clauses where there is nothing else",
    "'adjust_pure_negative': False": "Lucene finds nothing by must_not alone",
}


def program() -> Path | None:
    """The server of ``noida-db``, if it is installed and made for this machine."""
    package = importlib.util.find_spec("noida_db")
    if package is None or package.origin is None:
        return None
    found = Path(package.origin).with_name("noida-db")
    found.chmod(0o755)
    try:
        runs = subprocess.run(bound([found, "version"]), capture_output=True, check=False).returncode == 0
    except OSError:
        return None
    return found if runs else None


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens."""
    named = os.environ.get("RIVERWATCH_ORACLE")
    if named:
        yield named
        return
    server = program()
    if server is None:
        pytest.skip("no oracle: noida-db does not run here, and RIVERWATCH_ORACLE names no server")
    port, data = free_port(), tmp_path_factory.mktemp("oracle")
    options = ["--data-dir", str(data), "--only", "elasticsearch", "--elasticsearch-port", str(port)]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(bound([server, "start", *options]), stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, f"http://127.0.0.1:{port}", data / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(REQUEST)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(address, timeout=REQUEST).raise_for_status().is_success
        except httpx.TransportError:
            return False

    eventually("the oracle answers", answers)


@pytest.fixture(autouse=True)
def _known_to_be_wrong(request: pytest.FixtureRequest, address: str) -> None:
    whole = httpx.get(address).json()
    for part, reason in WRONG.items():
        if whole.get("name") == "noida-db" and part in request.node.name:
            pytest.skip(reason)


def mapping(types: Types) -> dict[str, Any]:
    """The index mapping of these field types."""
    root: dict[str, Any] = {"dynamic": False, "properties": {}}
    for path, type_ in types.items():
        if path.endswith(".keyword"):
            continue
        inner, names = root, path.split(".")
        for name in names:
            inner = inner.setdefault("properties", {}).setdefault(name, {})
        inner["type"] = type_
        if f"{path}.keyword" in types:
            inner["fields"] = {"keyword": {"type": "keyword"}}
    return root


class Oracle:
    """One index on the server."""

    def __init__(self, address: str, name: str, types: Types, documents: list[Found]) -> None:
        self._client = httpx.Client(base_url=address, timeout=REQUEST)
        self._name = f"riverwatch-{name}"
        self._client.delete(f"/{self._name}")
        self._client.put(f"/{self._name}", json={"mappings": mapping(types)}).raise_for_status()
        lines = [line for one in documents for line in ({"index": {"_id": one.id}}, one.source)]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        headers = {"content-type": "application/x-ndjson"}
        written = self._client.post(f"/{self._name}/_bulk?refresh=true", content=body, headers=headers)
        assert not written.raise_for_status().json()["errors"]

    def search(self, body: Any) -> Any:
        """The answer of a search."""
        return self._client.post(f"/{self._name}/_search", json=body).json()


@pytest.fixture(scope="module")
def tasks(address: str) -> Oracle:
    return Oracle(address, "tasks", TASKS, TASK_DOCUMENTS)


@pytest.fixture(scope="module")
def results(address: str) -> Oracle:
    return Oracle(address, "results", RESULTS, RESULT_SAMPLE)


TIMELESS = [(body, found) for body, found in CLAUSES if "'now" not in str(body)]


@pytest.mark.parametrize(("body", "found"), TIMELESS, ids=[str(body) for body, _ in TIMELESS])
def test_clauses(tasks: Oracle, body: dict[str, Any], found: str) -> None:
    answer = tasks.search({"query": body, "size": 100})
    assert "hits" in answer, answer
    assert "".join(sorted(hit["_id"] for hit in answer["hits"]["hits"])) == found
    assert "".join(hit.id for hit in matching_documents(parse_query(body), TASK_DOCUMENTS, TASKS, NOW)) == found


AGGREGATIONS: list[dict[str, Any]] = [
    {"a": {"terms": {"field": "model_id", "size": 2}}},
    {"a": {"terms": {"field": "task_id", "missing": "none"}}},
    {
        "a": {
            "terms": {"field": "model_id", "order": {"top": "desc"}},
            "aggs": {"top": {"max": {"field": "anomaly_grade"}}, "s": {"extended_stats": {"field": "confidence"}}},
        }
    },
    {"a": {"date_histogram": {"field": "data_start_time", "fixed_interval": "2m"}}},
    {"a": {"date_histogram": {"field": "data_start_time", "calendar_interval": "day", "time_zone": "+01:00"}}},
    {"a": {"histogram": {"field": "anomaly_grade", "interval": 0.25}}},
    {"a": {"range": {"field": "anomaly_grade", "ranges": [{"to": 0.2}, {"from": 0.2}]}}},
    {"a": {"filters": {"filters": {"x": {"term": {"task_id": "t1"}}, "y": {"match_all": {}}}}}},
    {"a": {"filter": {"exists": {"field": "task_id"}}}, "b": {"cardinality": {"field": "model_id"}}},
    {
        "a": {
            "nested": {"path": "entity"},
            "aggs": {
                "v": {
                    "terms": {"field": "entity.value"},
                    "aggs": {"r": {"reverse_nested": {}, "aggs": {"g": {"max": {"field": "anomaly_grade"}}}}},
                }
            },
        }
    },
    {
        "a": {
            "composite": {
                "size": 2,
                "sources": [{"d": {"terms": {"field": "detector_id"}}}, {"m": {"terms": {"field": "model_id"}}}],
            }
        }
    },
    {"a": {"extended_stats": {"field": "anomaly_grade"}}, "b": {"value_count": {"field": "task_id"}}},
]


@pytest.mark.parametrize("aggregations", AGGREGATIONS, ids=json.dumps)
def test_aggregations(results: Oracle, aggregations: dict[str, Any]) -> None:
    body = {"size": 0, "aggs": aggregations}
    expected = results.search(body)
    if "Unknown aggregation type" in str(expected.get("error")):
        pytest.skip("the server does not know it")
    assert "aggregations" in expected, expected
    found = search(body, RESULT_SAMPLE, RESULTS)["aggregations"]
    assert _contained(expected["aggregations"], found) == ""


@pytest.mark.parametrize(
    "sort",
    [
        [{"anomaly_grade": "desc"}, {"data_start_time": "asc"}, {"model_id": "asc"}],
        [{"task_id": {"order": "asc", "missing": "_first"}}, {"data_start_time": "desc"}, {"model_id": "asc"}],
        [{"nothing": {"order": "asc", "unmapped_type": "long"}}, {"model_id": "desc"}, {"data_start_time": "asc"}],
    ],
    ids=json.dumps,
)
def test_sorts(results: Oracle, sort: list[Any]) -> None:
    body = {"sort": sort, "size": 100}
    expected, found = results.search(body), search(body, RESULT_SAMPLE, RESULTS)
    assert [(hit["_id"], hit["sort"]) for hit in found["hits"]["hits"]] == [
        (hit["_id"], hit["sort"]) for hit in expected["hits"]["hits"]
    ]


def _contained(expected: Any, found: Any, path: str = "") -> str:
    """Where something expected is missing or different; "" when nothing is."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        inner = (_contained(one, found.get(name, "missing"), f"{path}.{name}") for name, one in expected.items())
        return next((where for where in inner if where), "")
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        inner = (_contained(*pair, f"{path}[{at}]") for at, pair in enumerate(zip(expected, found, strict=True)))
        return next((where for where in inner if where), "")
    if isinstance(expected, float) and isinstance(found, int | float):
        return "" if found == pytest.approx(expected) else f"{path}: {found} for {expected}"
    return "" if expected == found else f"{path}: {found} for {expected}"
