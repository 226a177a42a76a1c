"""The few requests to the REST API that the demo makes."""

from __future__ import annotations

import time
from typing import Any

import httpx

from deploy.errors import DeployError

PREFIX = "/_plugins/_anomaly_detection/detectors"
PATIENCE_SECONDS = 60.0


class DetectorsApi:
    """A client of the API at ``url``. Raises ``DeployError`` for an answer that is not a success."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30.0)

    def create(self, document: dict[str, Any]) -> str:
        """Create a detector; returns its id."""
        return str(self._ask(PREFIX, document)["_id"])

    def start(self, detector_id: str) -> None:
        """Start real-time detection, with the records that are in the topic already."""
        self._ask(f"{PREFIX}/{detector_id}/_start?from=earliest", None)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _ask(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self._client.post(path, json=body) if body is not None else self._client.post(path)
            except httpx.TransportError as error:
                raise DeployError(f"the API does not answer: {error}") from error
            # 503: the API listens, but its views have not read everything yet.
            if answer.status_code != 503 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not answer.is_success:
            raise DeployError(f"the API refuses POST {path} with {answer.status_code}: {answer.text}")
        document: dict[str, Any] = answer.json()
        return document


def detector(name: str, topic: str, *, interval: int, unit: str, description: str) -> dict[str, Any]:
    """A detector of the mean of ``value`` for each ``series`` of a topic.

    >>> detector("d", "t", interval=5, unit="Minutes", description="")["detection_interval"]
    {'period': {'interval': 5, 'unit': 'Minutes'}}
    """
    return {
        "name": name,
        "description": description,
        "time_field": "time",
        "indices": [topic],
        "feature_attributes": [
            {
                "feature_name": "value",
                "feature_enabled": True,
                "aggregation_query": {"value": {"avg": {"field": "value"}}},
            }
        ],
        "detection_interval": {"period": {"interval": interval, "unit": unit}},
        "window_delay": {"period": {"interval": 0, "unit": unit}},
        "category_field": ["series"],
    }
