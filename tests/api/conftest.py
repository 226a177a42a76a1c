"""A running API on a real Kafka, with the small coordinator behind it.

def test_something(api):
    assert api.get("/").status_code == 200
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.process import ApiProcess
from api.settings import ApiSettings
from schemas.topics import TOPICS
from tests.api.coordinator import Coordinator
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST, eventually

AD = "/_plugins/_anomaly_detection"


@dataclass
class RunningApi:
    """An API in this process, and the topics under its prefix."""

    client: httpx.Client
    process: ApiProcess
    url: str
    broker: Broker
    prefix: str
    topics: dict[str, TopicUnderTest]
    names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def call(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """A request below the OpenSearch prefix."""
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self.client.request(method, AD + path, content=content, headers=headers, **options)  # type: ignore[arg-type]

    def source(self, records: list[dict[str, object]], partitions: int = 1) -> str:
        """A new topic that holds these records."""
        name = f"src-{self.prefix.strip('.')}-{next(self.names)}"
        topic = self.broker.create_topic(name, partitions)
        if records:
            topic.produce_all([(None, json.dumps(record).encode()) for record in records])
        return topic.name

    def detector(self, source: str, **members: object) -> dict[str, object]:
        """A detector document on a topic."""
        document: dict[str, object] = {
            "name": f"d{next(self.names)}",
            "time_field": "timestamp",
            "indices": [source],
            "feature_attributes": [
                {
                    "feature_name": "f1",
                    "feature_enabled": True,
                    "aggregation_query": {"f1": {"avg": {"field": "value"}}},
                }
            ],
            "detection_interval": {"period": {"interval": 1, "unit": "Minutes"}},
        }
        document.update(members)
        return {name: value for name, value in document.items() if value is not ...}


def minute_records(count: int = 20, hosts: int = 2) -> list[dict[str, object]]:
    """Records of the last minutes: one a minute and host."""
    now = int(time.time()) // 60 * 60_000
    return [
        {"timestamp": now - minute * 60_000, "host": f"h{host}", "region": "eu", "value": 10.5 + host, "port": 80}
        for minute in range(count)
        for host in range(hosts)
    ]


@contextlib.contextmanager
def running_api(broker: Broker, **settings: object) -> Iterator[RunningApi]:
    """An API that is ready to answer, with topics under a prefix of its own."""
    prefix = f"api-{uuid.uuid4().hex[:8]}."
    topics = {
        name: broker.create_topic(topic.full_name(prefix), topic.partitions(2), topic.config())
        for name, topic in TOPICS.items()
    }
    coordinator = Coordinator(broker.bootstrap, prefix)
    coordinator.start()
    with tempfile.TemporaryDirectory() as data:
        given = {"brokers": broker.bootstrap, "prefix": prefix, "data": Path(data), **settings}
        process = ApiProcess(ApiSettings(**given))  # type: ignore[arg-type]
        with serving(process) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:
            wait_ready(client)
            yield RunningApi(client, process, url, broker, prefix, topics)
    coordinator.stop()


@contextlib.contextmanager
def serving(process: ApiProcess) -> Iterator[str]:
    """The application behind a socket, in a thread; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(process.application, lifespan="on", log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def api(broker: Broker) -> Iterator[RunningApi]:
    """One API for the tests of a module."""
    with running_api(broker) as running:
        yield running


def wait_ready(client: httpx.Client) -> None:
    """Wait until the health route says that requests can be answered."""

    def is_ready() -> bool:
        try:
            return client.get("/_health", timeout=REQUEST).status_code == 200
        except httpx.TransportError:
            return False

    eventually("the API is ready", is_ready)
