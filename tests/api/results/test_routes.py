"""Results through the API: searched, counted by their worst entities, deleted."""

from __future__ import annotations

from typing import Any

from schemas.result import Result, encode_result
from schemas.task import EntityValue
from tests.api.conftest import RunningApi, minute_records
from tests.deadlines import eventually


def result(detector_id: str, number: int, host: str, grade: float, task_id: str | None = None) -> Result:
    return Result(
        id=f"{task_id or detector_id}|{host}|{number}",
        detector_id=detector_id,
        data_start_time=number * 60_000,
        data_end_time=(number + 1) * 60_000,
        anomaly_score=grade * 2,
        anomaly_grade=grade,
        confidence=0.9,
        entity=[EntityValue(name="host", value=host), EntityValue(name="region", value="eu")],
        model_id=f"{detector_id}_entity_{host}",
        task_id=task_id,
    )


def write(api: RunningApi, results: list[Result]) -> None:
    """Put results on their topic and wait until the API has read them."""
    api.topics["results"].produce_all([(b"k", encode_result(each)) for each in results], partition=0)
    query = {"size": 0, "track_total_hits": True, "query": {"ids": {"values": [results[-1].id]}}}
    eventually(
        "the results are read",
        lambda: total(search(api, query)) or total(search(api, query, "/opensearch-ad-plugin-result-*")),
    )


def search(api: RunningApi, body: dict[str, Any], index: str = "") -> dict[str, Any]:
    answer = api.call("POST", f"/detectors/results/_search{index}", body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def total(answer: dict[str, Any]) -> int:
    return int(answer["hits"]["total"]["value"])


def create(api: RunningApi, **members: object) -> str:
    document = api.detector(api.source(minute_records()), category_field=["host", "region"], **members)
    return str(api.call("POST", "/detectors", document).json()["_id"])


def test_search(api: RunningApi) -> None:
    id = create(api)
    write(api, [result(id, n, f"h{n % 2}", n / 10) for n in range(5)])
    body = {
        "query": {"bool": {"filter": [{"term": {"detector_id": id}}, {"range": {"anomaly_grade": {"gt": 0}}}]}},
        "sort": [{"anomaly_grade": "desc"}],
        "size": 2,
        "aggs": {"worst": {"max": {"field": "anomaly_grade"}}},
    }
    answer = search(api, body)
    assert total(answer) == 4
    assert [hit["_source"]["anomaly_grade"] for hit in answer["hits"]["hits"]] == [0.4, 0.3]
    assert answer["hits"]["hits"][0]["_index"].startswith(".opendistro-anomaly-results")
    assert answer["aggregations"]["worst"]["value"] == 0.4
    inner = {"nested": {"path": "entity", "query": {"term": {"entity.value": "h0"}}}}
    assert total(search(api, {"query": {"bool": {"filter": [{"term": {"detector_id": id}}, inner]}}})) == 3

    write(api, [result(id, 4, "h0", 1.0)])
    again = search(api, {"query": {"term": {"detector_id": id}}, "sort": [{"anomaly_grade": "desc"}]})
    assert total(again) == 5


def test_top_anomalies(api: RunningApi) -> None:
    id = create(api)
    write(api, [result(id, n, f"h{n % 2}", 0.2 + (n == 0)) for n in range(5)])
    write(api, [result(id, 7, "h9", 0.9, task_id="t1")])
    path = f"/detectors/{id}/results/_topAnomalies"
    span: dict[str, object] = {"start_time_ms": 0, "end_time_ms": 1_000_000}
    worst = api.call("POST", path, span).json()["buckets"]
    assert worst[0] == {"key": {"host": "h0", "region": "eu"}, "doc_count": 3, "max_anomaly_grade": 1.2}
    assert [bucket["key"]["host"] for bucket in worst] == ["h0", "h1"]
    by_region = api.call("POST", path, {**span, "category_field": ["region"], "order": "occurrence"}).json()
    assert by_region["buckets"][0]["doc_count"] == 5
    task = api.call("POST", path + "?historical=true", {**span, "task_id": "t1"}).json()["buckets"]
    assert [bucket["key"]["host"] for bucket in task] == ["h9"]
    refusals: dict[str, dict[str, object]] = {
        "Ordering by x is not a valid option": {"order": "x"},
        "Size must be a positive integer": {"size": 0},
        "Size cannot exceed 1000": {"size": 1001},
        f"Category field x doesn't exist for detector ID {id}": {"category_field": ["x"]},
    }
    for reason, members in refusals.items():
        assert api.call("POST", path, {**span, **members}).json()["error"]["reason"] == reason
    missing = api.call("POST", path + "?historical", span).json()["error"]
    assert missing["reason"] == f"No historical tasks found for detector ID {id}"


def test_result_indices(api: RunningApi) -> None:
    id = create(api, result_index="opensearch-ad-plugin-result-c1")
    write(api, [result(id, n, "h0", 0.5) for n in range(3)])
    mine = {"query": {"term": {"detector_id": id}}}
    assert total(search(api, mine)) == 0
    named = search(api, mine, "/opensearch-ad-plugin-result-c1")
    assert total(named) == 3
    assert named["hits"]["hits"][0]["_index"] == "opensearch-ad-plugin-result-c1"
    only = "?only_query_custom_result_index=true"
    assert total(search(api, {}, "/opensearch-ad-plugin-result-*" + only)) == 3
    assert total(search(api, mine, "/opensearch-ad-plugin-result-other")) == 0
    none = api.call("POST", "/detectors/results/_search/nope" + only, {})
    assert (none.status_code, none.json()["error"]["reason"]) == (400, "No custom result indices found")


def test_delete(api: RunningApi) -> None:
    id = create(api)
    write(api, [result(id, n, "h0", 0.5) for n in range(4)])
    bounds = [{"term": {"detector_id": id}}, {"range": {"data_end_time": {"lte": 120_000}}}]
    report = api.call("DELETE", "/detectors/results", {"query": {"bool": {"filter": bounds}}}).json()
    assert (report["deleted"], report["failures"]) == (2, [])
    assert total(search(api, {"query": {"term": {"detector_id": id}}})) == 2


def test_delete_needs_a_query_and_leaves_result_indices_alone(api: RunningApi) -> None:
    for body, kind, reason in (
        ({}, "action_request_validation_exception", "Validation Failed: 1: query is missing;"),
        ({"size": 5}, "action_request_validation_exception", "Validation Failed: 1: query is missing;"),
        ({"max_docs": 5}, "parsing_exception", "Unknown key for a VALUE_NUMBER in [max_docs]."),
        ({"query": {"nope": {}}}, "parsing_exception", "unknown query [nope]"),
    ):
        error = api.call("DELETE", "/detectors/results", body).json()["error"]
        assert (error["type"], error["reason"]) == (kind, reason)
    id = create(api, result_index="opensearch-ad-plugin-result-kept")
    write(api, [result(id, n, "h0", 0.5) for n in range(2)])
    mine = {"query": {"term": {"detector_id": id}}}
    assert api.call("DELETE", "/detectors/results", mine).json()["deleted"] == 0
    assert total(search(api, mine, "/opensearch-ad-plugin-result-kept")) == 2
