"""A historical analysis, followed through the API."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from deploy.api_client.detectors import DetectorsApi
from schemas.task import LIVE_STATES

SETTLE_SECONDS = 1.0
"""The counts of an ended analysis are final when no further result has arrived for this long."""


@dataclass
class Analysis:
    """What is known about one analysis. ``progress`` goes from 0 to 1."""

    task_id: str
    state: str = "CREATED"
    progress: float = 0.0
    windows: int = 0
    entities: int = 0
    anomalies: int = 0
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it is finished, stopped or failed."""
        return self.state not in LIVE_STATES

    def document(self, seconds: float) -> dict[str, Any]:
        """This as a JSON object, ``seconds`` after the start.

        >>> Analysis("t", "RUNNING", progress=0.25).document(5.0)["seconds_left"]
        15.0
        """
        left = seconds * (1 - self.progress) / self.progress if 0 < self.progress < 1 else None
        return {
            "task_id": self.task_id,
            "state": self.state,
            "progress": self.progress,
            "entities": self.entities,
            "windows": self.windows,
            "anomalies": self.anomalies,
            "seconds": round(seconds, 1),
            "seconds_left": None if left is None or self.ended else round(left, 1),
            "error": self.error,
        }

    def refresh(self, api: DetectorsApi) -> None:
        """Read state and counts anew. Raises ``DeployError``."""
        for hit in api.tasks({"ids": {"values": [self.task_id]}}):
            task = hit["_source"]
            self.state, self.error = task["state"], task.get("error")
            self.progress = float(task.get("task_progress") or 0.0)
        counts = self._count(api)
        while self.ended:
            # The task ends when its results are in Kafka; the API's store takes them in a moment later.
            before = counts
            time.sleep(SETTLE_SECONDS)
            counts = self._count(api)
            if counts == before:
                return

    def _count(self, api: DetectorsApi) -> tuple[int, int, int]:
        found = api.results(
            {
                "size": 0,
                "query": {"term": {"task_id": {"value": self.task_id}}},
                "aggs": {
                    "windows": {"cardinality": {"field": "data_end_time"}},
                    "entities": {"cardinality": {"field": "model_id"}},
                    "anomalies": {"filter": {"range": {"anomaly_grade": {"gt": 0}}}},
                },
            }
        )["aggregations"]
        self.windows = found["windows"]["value"]
        self.entities = found["entities"]["value"]
        self.anomalies = found["anomalies"]["doc_count"]
        return self.windows, self.entities, self.anomalies
