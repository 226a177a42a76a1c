"""A Riverwatch with a worker and its API, and what to ask it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.api.conftest import wait_ready
from tests.cluster import Cluster, document
from tests.conftest import Broker
from tests.deadlines import REQUEST, eventually

AD = "/_plugins/_anomaly_detection/detectors"


@dataclass
class Rest:
    """A Riverwatch, and a client of its API."""

    cluster: Cluster
    client: httpx.Client

    def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """A request that gets this status; the answer's body."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        response = self.client.request(method, path, content=content, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def until(self, enough: Callable[[Any], bool], method: str, path: str, body: object = None) -> Any:
        """The first answer that satisfies ``enough``."""
        answer: Any = None

        def is_enough() -> bool:
            nonlocal answer
            answer = self.call(method, path, body)
            return enough(answer)

        try:
            eventually(f"enough in {path}", is_enough)
        except AssertionError as error:
            error.add_note(json.dumps(answer)[:4000])
            raise
        return answer

    def detector(self, topic: str, **members: object) -> str:
        """A new detector of minutes by host; its id."""
        given = {"detection_interval": {"period": {"interval": 1, "unit": "Minutes"}}, **members}
        created = self.call("POST", AD, document(f"rest-{uuid.uuid4().hex[:8]}", topic, **given), 201)
        return str(created["_id"])


@contextmanager
def running_rest(broker: Broker, name: str, data: Path, **settings: Any) -> Iterator[Rest]:
    """A Riverwatch with these settings, whose topics begin with ``name``; ``data`` is the folder of its API."""
    with Cluster(broker.bootstrap, f"{name}-{uuid.uuid4().hex[:6]}.", **settings) as cluster:
        worker = cluster.start_worker()
        with httpx.Client(base_url=cluster.start_api(data).url, timeout=REQUEST) as client:
            wait_ready(client)
            yield Rest(cluster, client)
        assert worker.stop() == 0, "\n".join(worker.lines[-60:])
