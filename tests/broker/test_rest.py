"""The API of a whole Riverwatch while its workers are busy: the page's searches, profiles, previews and single runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broker.rest import AD, Rest, running_rest
from tests.conftest import Broker, TopicUnderTest

MINUTE = 60_000
PAGE = "/_anomaly_detection/api/detectors"
HOSTS = ("a", "b", "c")
TASK_PROFILE = {"ad_task", "node_id", "task_id", "task_type", "detector_task_slots"}


@pytest.fixture(scope="module")
def rest(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """Its analyses take records in one by one."""
    with running_rest(broker, "rest", tmp_path_factory.mktemp("api"), statistics_interval=0.2, scan_slice=1) as rest:
        yield rest


def minutes(count: int, end: int) -> Iterator[dict[str, Any]]:
    """One record a minute of each host, the last just before ``end``."""
    for minute in range(count):
        for index, host in enumerate(HOSTS):
            at = end - (count - minute) * MINUTE + 1000
            yield {"time": at, "host": host, "value": 10.0 * index + minute % 7}


def now() -> int:
    """The last whole minute."""
    return int(time.time()) // 60 * MINUTE


def search(detector: str, **terms: Any) -> dict[str, Any]:
    """A search for the tasks of a detector, as the job operations page writes it."""
    filters = [{"term": {"detector_id": detector}}, *({"term": {name: value}} for name, value in terms.items())]
    return {"query": {"bool": {"filter": filters}}}


def test_the_pages_searches_and_the_profile_during_an_analysis(
    rest: Rest, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic, end = new_topic(topic_prefix + "m"), now()
    rest.cluster.produce(topic.name, minutes(8000, end))
    detector = rest.detector(topic.name)
    body = {"start_time": end - 8000 * MINUTE, "end_time": end}
    started = rest.call("POST", f"{PAGE}/{detector}/_start", body)
    task = started["_id"]
    assert (started["_version"], started["_primary_term"]) == (1, 1)
    assert task != detector

    # Search for detector-level historical tasks.
    latest = search(detector, task_type="HISTORICAL_HC_DETECTOR", is_latest="true")

    def runs(answer: Any) -> bool:
        return bool(answer["hits"]["hits"][0]["_source"]["state"] == "RUNNING")

    running = rest.until(runs, "GET", f"{PAGE}/tasks/_search", latest)
    assert (running["hits"]["total"], running["hits"]["max_score"]) == ({"value": 1, "relation": "eq"}, 0)
    hit = running["hits"]["hits"][0]
    assert (hit["_id"], hit["_index"], hit["_score"]) == (task, ".searchguard-ad-state", 0)
    source = hit["_source"]
    assert source["detection_date_range"] == body
    assert 0 <= source["task_progress"] < 1
    assert "execution_end_time" not in source
    assert source["detector"]["category_field"] == ["host"]
    assert (source["is_latest"], source["init_progress"]) == (True, 0)

    # Search for entity-level historical tasks.
    entities = search(detector, task_type="HISTORICAL_HC_ENTITY", is_latest="true")
    entities |= {"sort": [{"execution_start_time": {"order": "desc"}}], "size": 100}
    children = rest.until(
        lambda answer: answer["hits"]["total"]["value"] == len(HOSTS), "POST", f"{PAGE}/tasks/_search", entities
    )
    assert {each["_source"]["parent_task_id"] for each in children["hits"]["hits"]} == {task}
    assert sorted(each["_source"]["entity"][0]["value"] for each in children["hits"]["hits"]) == list(HOSTS)
    assert [each["sort"] for each in children["hits"]["hits"]] == sorted(
        (each["sort"] for each in children["hits"]["hits"]), reverse=True
    )

    # Aggregate task states.
    states = {
        "size": 0,
        "query": {
            "bool": {
                "filter": [
                    {"term": {"detector_id": {"value": detector, "boost": 1}}},
                    {"term": {"parent_task_id": {"value": task, "boost": 1}}},
                    {"terms": {"task_type": ["HISTORICAL_HC_ENTITY"], "boost": 1}},
                ]
            }
        },
        "aggs": {"test": {"terms": {"field": "state", "size": 100}}},
    }
    summed = rest.call("POST", f"{PAGE}/tasks/_search", states)
    assert (summed["hits"]["max_score"], summed["hits"]["hits"]) == (None, [])
    buckets = summed["aggregations"]["test"]
    assert (buckets["doc_count_error_upper_bound"], buckets["sum_other_doc_count"]) == (0, 0)
    assert sum(bucket["doc_count"] for bucket in buckets["buckets"]) == len(HOSTS)
    assert {bucket["key"] for bucket in buckets["buckets"]} <= {"INIT", "RUNNING"}

    # What the profile says meanwhile.
    profile = rest.call("GET", f"{AD}/{detector}/_profile/ad_task")
    assert profile.keys() == {"ad_task"}
    shown = profile["ad_task"]
    assert shown.keys() >= TASK_PROFILE | {"running_entities", "entity_task_profiles"}
    assert (shown["ad_task"]["task_id"], shown["task_type"]) == (task, "HISTORICAL_HC_DETECTOR")
    assert (shown["total_entities_count"], shown["running_entities_count"]) == (3, 3)
    assert sorted(shown["running_entities"]) == list(HOSTS)
    for each in shown["entity_task_profiles"]:
        assert each["task_type"] == "HISTORICAL_HC_ENTITY"
        assert each["rcf_total_updates"] >= 0
    everything = rest.call("GET", f"{AD}/{detector}/_profile?_all=true")
    assert everything["state"] == "DISABLED"
    assert everything["ad_task"].keys() >= TASK_PROFILE

    # Another analysis beside it: a preview of a small topic, and the verdict on one period.
    little = new_topic(topic_prefix + "little")
    rest.cluster.produce(little.name, minutes(100, end))
    other = rest.detector(little.name)
    period = {"period_start": end - 100 * MINUTE, "period_end": end}
    preview = rest.call("POST", f"{AD}/{other}/_preview", period)
    assert {each["entity"][0]["value"] for each in preview["anomaly_result"]} == set(HOSTS)
    assert "task_id" not in preview["anomaly_result"][0]
    assert preview["anomaly_detector"]["indices"] == [little.name]
    assert rest.call("POST", f"{AD}/{other}/_run", period)["anomalyGrade"] == "NaN"

    assert rest.call("POST", f"{PAGE}/{detector}/_stop?historical=true") == {
        "_id": task, "_version": 0, "_seq_no": 0, "_primary_term": 0
    }  # fmt: skip
    ended = rest.call("POST", f"{PAGE}/tasks/_search", latest)["hits"]["hits"][0]["_source"]
    assert (ended["state"], ended["error"]) == ("STOPPED", "Historical analysis cancelled by user")
    assert rest.call("GET", f"{AD}/{detector}/_profile/ad_task")["ad_task"].keys() == {"ad_task"}


def test_profile_preview_and_run_beside_real_time_detection(
    rest: Rest, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic, end = new_topic(topic_prefix + "m"), now()
    rest.cluster.produce(topic.name, minutes(100, end))
    detector = rest.detector(topic.name)
    rest.call("POST", f"{AD}/{detector}/_start")
    rest.until(lambda profile: profile["state"] == "RUNNING", "GET", f"{AD}/{detector}/_profile/state")

    profile = rest.until(
        lambda answer: len(answer.get("models", ())) == len(HOSTS), "GET", f"{AD}/{detector}/_profile?_all=true"
    )
    assert (profile["state"], profile["error"], profile["model_count"]) == ("RUNNING", "", 3)
    assert (profile["total_entities"], profile["active_entities"]) == (3, 3)
    assert profile["init_progress"] == {"percentage": "100%"}
    assert profile["total_size_in_bytes"] > 0
    assert "ad_task" not in profile
    model = profile["models"][0]
    assert model.keys() == {"model_id", "entity", "model_size_in_bytes", "node_id"}
    for name in ("state", "error", "models", "coordinating_node", "total_size_in_bytes", "init_progress",
                 "total_entities", "active_entities"):  # fmt: skip
        part = rest.call("GET", f"{AD}/{detector}/_profile/{name}")
        assert part == {each: profile[each] for each in part}
        assert name in part
    assert rest.call("GET", f"{AD}/{detector}/_profile/ad_task") == {}
    assert rest.call("GET", f"{AD}/{detector}/_profile/nope", status=400)["error"]["reason"] == (
        "profiles to collect are missing or invalid"
    )

    one = {"entity": [{"name": "host", "value": "b"}]}
    entity = rest.call("POST", f"{AD}/{detector}/_profile?_all=true", one)
    assert (entity["is_active"], entity["state"]) == (True, "RUNNING")
    assert entity["init_progress"] == {"percentage": "100%"}
    assert entity["model"]["entity"] == one["entity"]
    assert entity["last_sample_timestamp"] <= entity["last_active_timestamp"]
    assert entity["last_sample_timestamp"] >= end
    unknown = {"entity": [{"name": "host", "value": "nobody"}]}
    refused = rest.call("POST", f"{AD}/{detector}/_profile?_all=true", unknown, status=400)
    assert refused["error"]["reason"] == "Cannot find entity"

    period = {"period_start": end - 100 * MINUTE, "period_end": end}
    results = rest.call("POST", f"{AD}/{detector}/_preview", period)["anomaly_result"]
    assert len(results) == 297  # The window of the newest record may not be over.
    assert results[0]["feature_data"][0]["feature_name"] == "mean"

    single = rest.detector(topic.name, category_field=[])
    verdict = rest.call("POST", f"{AD}/{single}/_run", {"period_start": end - 6 * MINUTE, "period_end": end - MINUTE})
    assert isinstance(verdict["anomalyGrade"], float)
    assert (verdict["error"], verdict["detectorIntervalInMinutes"]) == (None, 1)
    assert verdict["rcfTotalUpdates"] == 45
    assert [each["feature_name"] for each in verdict["features"]] == ["mean"]
    after = {"period_start": end + 100 * MINUTE, "period_end": end + 101 * MINUTE}
    assert rest.call("POST", f"{AD}/{single}/_run", after)["error"] == "No data in current detection window"
    assert rest.call("GET", f"{AD}/{detector}/_profile/state") == {"state": "RUNNING"}
