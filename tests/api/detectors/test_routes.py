"""Detectors through the API, on a real Kafka."""

from __future__ import annotations

import re
import time

from tests.api.conftest import RunningApi, minute_records
from tests.conftest import Broker
from tests.streams.formats.samples import PRODUCERS


def test_life_of_a_detector(api: RunningApi) -> None:
    source = api.source(minute_records())
    before = api.call("GET", "/detectors/count").json()["count"]
    created = api.call("POST", "/detectors", api.detector(source, name="cpu", description="a <b>"))
    assert created.status_code == 201
    id = created.json()["_id"]
    assert created.headers["location"] == f"/_opendistro/_anomaly_detection/{id}"
    assert created.json()["anomaly_detector"]["description"] == "a &lt;b&gt;"
    assert (created.json()["_version"], created.json()["_primary_term"]) == (1, 1)

    got = api.client.get(f"/_anomaly_detection/api/detectors/{id}/?job&task=true").json()
    assert got["anomaly_detector"] == created.json()["anomaly_detector"]
    assert got["anomaly_detector_job"] is None
    assert got["realtime_task"] is None
    assert got["realtime_detection_task"] is None

    updated = api.call("PUT", f"/detectors/{id}", api.detector(source, name="cpu2"))
    assert updated.status_code == 200
    assert updated.json()["_version"] == 2
    assert updated.json()["_seq_no"] > created.json()["_seq_no"]
    assert api.call("GET", "/detectors/match?name=cpu2").json() == {"count": 0, "match": True}
    assert api.call("GET", "/detectors/match?name=cpu").json() == {"count": 0, "match": False}
    assert api.call("GET", "/detectors/count").json() == {"count": before + 1, "match": False}

    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "deleted"
    assert api.call("DELETE", f"/detectors/{id}").json()["result"] == "not_found"
    assert api.call("GET", f"/detectors/{id}").status_code == 404


def test_what_topics_and_other_detectors_refuse(api: RunningApi) -> None:
    source = api.source(minute_records())
    empty = api.source([])
    before = api.call("GET", "/detectors/count").json()["count"]
    assert api.call("POST", "/detectors", api.detector(source, name="taken")).status_code == 201

    def refused(**members: object) -> tuple[int, str, str]:
        answer = api.call("POST", "/detectors", api.detector(source, **members))
        error = answer.json()["error"]
        return answer.status_code, error["type"], error["reason"]

    feature = {"feature_name": "f", "feature_enabled": True}
    assert refused(indices=["nope"]) == (404, "index_not_found_exception", "no such index [nope]")
    assert refused(indices=[empty])[2] == (
        f"Can't create anomaly detector as no document is found in the indices: [{empty}]"
    )
    assert refused(name="x", time_field="no") == (
        500,
        "status_exception",
        "Validation failed for timefield of x,  Exceptions: "
        f"[Timestamp field: (no) is not found in the ({source}) index mapping]",
    )
    assert "must be of type date" in refused(time_field="host")[2]
    assert refused(category_field=["value"])[2] == "Categorical field value must be of type keyword or ip."
    assert refused(category_field=["no"])[2] == f"Can't find the categorical field no in index [{source}]"
    assert refused(name="taken")[:2] == (409, "status_exception")
    missing = {**feature, "aggregation_query": {"a": {"avg": {"field": "no"}}}}
    assert "returning empty aggregated data: f" in refused(feature_attributes=[missing])[2]
    text = {**feature, "aggregation_query": {"a": {"avg": {"field": "host"}}}}
    assert "causing a runtime exception: f" in refused(feature_attributes=[text])[2]
    assert api.call("GET", "/detectors/count").json()["count"] == before + 1


def test_the_unit_of_times_is_told_from_the_sample_and_stored(api: RunningApi) -> None:
    now = int(time.time())
    for unit, factor in (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 10**6), ("nanoseconds", 10**9)):
        source = api.source([{"ts": (now - back) * factor, "host": "a", "value": 1.5} for back in range(5)])
        detector = api.detector(source, name=f"in-{unit}", time_field="ts")
        created = api.call("POST", "/detectors", detector)
        assert created.status_code == 201, created.text
        assert created.json()["anomaly_detector"]["time_unit"] == unit
        path = f"/detectors/{created.json()['_id']}"
        assert api.call("GET", path).json()["anomaly_detector"]["time_unit"] == unit
        other = "seconds" if unit != "seconds" else "milliseconds"
        wrong = api.call("PUT", path, {**detector, "time_unit": other})
        assert "must be of type date" in wrong.json()["error"]["reason"]


def test_the_format_of_the_records_is_told_from_the_sample_and_stored(api: RunningApi, broker: Broker) -> None:
    now = int(time.time()) * 1000
    for name, producer in PRODUCERS.items():
        if producer.format == "confluent":
            continue
        topic = broker.create_topic(f"format-{name}")
        for back in range(3):
            value, headers = producer.write(1.5, now - back * 1000)
            topic.produce(None, value, headers=[(name_, content or b"") for name_, content in headers])
        members = {"time_field": producer.time, "category_field": [producer.host], "name": f"of-{name}"}
        feature = {"feature_name": "f", "aggregation_query": {"a": {"avg": {"field": producer.value}}}}
        detector = api.detector(topic.name, **members, feature_attributes=[feature])
        created = api.call("POST", "/detectors", detector)
        assert created.status_code == 201, (name, created.text)
        shown = created.json()["anomaly_detector"]
        assert (shown["format"], shown.get("points")) == (producer.format, producer.points)
        if producer.format == "line-protocol":
            problem = api.call("POST", "/detectors", {**detector, "time_field": "time"}).json()["error"]["reason"]
            assert "Its records are InfluxDB line protocol, with the fields name, tags.host, fields" in problem


def test_records_in_no_known_format_are_told_as_such(api: RunningApi, broker: Broker) -> None:
    topic = broker.create_topic("format-none")
    topic.produce(None, b"hello world")
    error = api.call("POST", "/detectors", api.detector(topic.name, name="none")).json()["error"]
    assert error["reason"] == (
        f"The newest records of topic {topic.name} are in no format that is known: b'hello world'"
    )
    framed = broker.create_topic("format-framed")
    framed.produce(None, PRODUCERS["avro"].write(1.5, 0)[0])
    error = api.call("POST", "/detectors", api.detector(framed.name, name="none")).json()["error"]
    assert "look like Confluent's framing" in error["reason"]


def test_times_that_can_not_be_meant_are_refused_with_what_they_were_read_as(api: RunningApi) -> None:
    for value, told in (
        (500_000_000, "holds 500000000 in {}, which is 1985-11-05T00:53:20Z read as seconds: times before 2000"),
        ("1970-01-21T10:42:13Z", "holds '1970-01-21T10:42:13Z' in {}, which is 1970-01-21T10:42:13Z: times before"),
        (int(time.time()) + 200_000, "read as seconds: times before 2000 or more than a day ahead are refused"),
    ):
        source = api.source([{"ts": value, "host": "a", "value": 1.5}])
        answer = api.call("POST", "/detectors", api.detector(source, time_field="ts"))
        assert answer.status_code == 400
        assert told.format(source) in answer.json()["error"]["reason"]


def test_few_categories_that_are_no_texts_are_a_warning(api: RunningApi) -> None:
    records = [
        {**record, "host": {"a": 1}} if number == 3 else record for number, record in enumerate(minute_records())
    ]
    answer = api.call("POST", "/detectors", api.detector(api.source(records), category_field=["host"]))
    assert answer.status_code == 201
    assert "sampled values of host are no texts, such as an object" in answer.headers["warning"]


def test_a_filter_that_lets_nothing_pass_is_a_warning(api: RunningApi) -> None:
    query = {"term": {"host": "nobody"}}
    answer = api.call("POST", "/detectors", api.detector(api.source(minute_records()), filter_query=query))
    assert answer.status_code == 201
    assert re.search(r"0 of \d+ sampled records match the filter", answer.headers["warning"])


def test_the_fields_that_a_record_has_from_kafka_can_be_named(api: RunningApi) -> None:
    source = api.source(minute_records())
    members = {"time_field": "_kafka.timestamp", "category_field": ["_kafka.partition"]}
    created = api.call("POST", "/detectors", api.detector(source, name="of-kafka", **members))
    assert created.status_code == 201, created.text
    assert "time_unit" not in created.json()["anomaly_detector"]
    unknown = api.call("POST", "/detectors", api.detector(source, time_field="_kafka.time"))
    assert "_kafka.time is no field: there are _kafka.timestamp, _kafka.key" in unknown.json()["error"]["reason"]


def test_a_parsing_error_says_where(api: RunningApi) -> None:
    answer = api.client.post(
        "/_plugins/_anomaly_detection/detectors",
        content='{"name": "x",\n "detection_interval": "1m"}',
        headers={"Content-Type": "application/json"},
    )
    error = answer.json()["error"]
    assert (error["type"], error["line"], error["col"]) == ("parsing_exception", 2, 24)
    assert (error["root_cause"][0]["line"], error["root_cause"][0]["col"]) == (2, 24)
