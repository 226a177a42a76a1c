"""From what common producers write to a topic to the results of a detector that was made with defaults."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from deploy.api_client.detector_document import detector_document
from tests.broker.rest import AD, Rest, running_rest
from tests.conftest import Broker
from tests.streams.formats.samples import PRODUCERS, SCHEMAS, Producer, avro
from tests.streams.schema_registry.registry import Registry, serving

VALUES = (0.5, 12.25, 99.0)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A schema registry."""
    with serving(SCHEMAS) as running:
        yield running


@pytest.fixture(scope="module")
def rest(broker: Broker, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """A Riverwatch with its API, beside the registry."""
    more = {"schema_registry_url": registry.url, "schema_registry_max_retries": 0}
    with running_rest(broker, "formats", tmp_path_factory.mktemp("api"), **more) as rest:
        yield rest


def start(rest: Rest, topic: str, producer: Producer) -> str:
    """A detector as ``riverwatch detectors create`` makes it, started from the topic's beginning."""
    document = detector_document(
        topics=[topic],
        time_field=producer.time,
        features=[f"avg:{producer.value}"],
        interval="1s",
        by=[producer.host],
        where=producer.name and f"name:{producer.name}",
    )
    id = str(rest.call("POST", AD, document, 201)["_id"])
    rest.call("POST", f"{AD}/{id}/_start?from=earliest")
    return id


def values_of(rest: Rest, id: str, begin: int) -> dict[int, float]:
    """The feature's value of each second, once all are there."""
    results = rest.cluster.results(id, len(VALUES))
    return {
        (result["data_start_time"] - begin) // 1000: result["feature_data"][0]["data"] for result in results.values()
    }


def test_what_each_producer_writes_becomes_results(rest: Rest, broker: Broker) -> None:
    begin = int(time.time()) * 1000 - 600_000
    started = {}
    for name, producer in PRODUCERS.items():
        topic = broker.create_topic(f"{rest.cluster.prefix}{name}".replace("formats", "written"))
        for second, value in enumerate(VALUES):
            content, headers = producer.write(value, begin + second * 1000)
            topic.produce(None, content, headers=[(key, content_ or b"") for key, content_ in headers])
        started[name] = start(rest, topic.name, producer)
    found = {name: values_of(rest, id, begin) for name, id in started.items()}
    assert found == {name: dict(enumerate(VALUES)) for name in PRODUCERS}


def test_records_wait_for_a_registry_that_is_away(rest: Rest, registry: Registry, broker: Broker) -> None:
    begin = int(time.time()) * 1000 - 600_000
    producer = PRODUCERS["avro"]
    topic = broker.create_topic(f"waiting-{uuid.uuid4().hex[:6]}")
    topic.produce(None, avro(VALUES[0], begin)[0])
    id = start(rest, topic.name, producer)
    registry.away = True
    # The schema has changed meanwhile, and nobody knows the new one yet.
    for second, value in enumerate(VALUES[1:], 1):
        topic.produce(None, avro(value, begin + second * 1000, id=2, unit="K")[0])
    rest.cluster.workers[0].wait_for("records wait for the schema registry", registry.url)
    registry.away = False
    assert values_of(rest, id, begin) == dict(enumerate(VALUES))
