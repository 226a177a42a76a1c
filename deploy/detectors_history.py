"""Starting a historical analysis and following it through the API."""

from __future__ import annotations

import time

from deploy.analysis import Analysis
from deploy.detectors_api import DetectorsApi

SETTLE_SECONDS = 1.0
"""For so long no further result must have come before the counts of an ended analysis are taken for the last ones."""


class ApiAnalyses:
    """Asks the API again and again. It does not say how many records were read."""

    def __init__(self, api: DetectorsApi) -> None:
        self._api = api

    def find(self, detector: str) -> str:
        """The id of a detector that is given by its id or its name."""
        return self._api.find(detector)

    def start(self, detector_id: str, start_ms: int, end_ms: int) -> Analysis:
        """Start an analysis."""
        return Analysis(self._api.analyse(detector_id, start_ms, end_ms))

    def follow(self, progress: Analysis, seconds: float) -> None:
        """Wait for ``seconds``, then look."""
        time.sleep(seconds)
        for hit in self._api.tasks({"ids": {"values": [progress.task_id]}}):
            task = hit["_source"]
            progress.state, progress.error = task["state"], task.get("error")
            progress.share = float(task.get("task_progress") or 0.0)
        self._count(progress)
        while progress.over:
            # The task ends when its results are in Kafka; the API's store takes them in a moment later.
            before = (progress.windows, progress.entities, progress.anomalies)
            time.sleep(SETTLE_SECONDS)
            self._count(progress)
            if before == (progress.windows, progress.entities, progress.anomalies):
                return

    def _count(self, progress: Analysis) -> None:
        found = self._api.results(
            {
                "size": 0,
                "query": {"term": {"task_id": {"value": progress.task_id}}},
                "aggs": {
                    "windows": {"cardinality": {"field": "data_end_time"}},
                    "entities": {"cardinality": {"field": "model_id"}},
                    "anomalies": {"filter": {"range": {"anomaly_grade": {"gt": 0}}}},
                },
            }
        )["aggregations"]
        progress.windows = found["windows"]["value"]
        progress.entities = found["entities"]["value"]
        progress.anomalies = found["anomalies"]["doc_count"]

    def stop(self, detector_id: str) -> None:
        """Stop the running analysis of a detector."""
        self._api.stop(detector_id, historical=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._api.close()
