"""Whether requests can be answered now, and 503 with the reason when they can't."""

from __future__ import annotations

from api.http.errors import index_not_found, unavailable
from api.http.index_names import OPENSEARCH
from streams.kafka.follower import Follower


class Readiness:
    """What the followers of the documents and of the results say about it."""

    def __init__(self, documents: Follower, results: Follower) -> None:
        self._documents, self._results = documents, results

    def why_not(self) -> str | None:
        """Why requests cannot be answered now, None when they can."""
        return self._documents.why_incomplete() or self._results.why_incomplete()

    def require(self) -> None:
        """Raise 503 unless the documents are complete and Kafka is reachable."""
        why = self._documents.why_incomplete()
        if why is not None:
            raise unavailable(why)

    def require_results(self) -> None:
        """Raise 503 unless the results are complete; the documents can do without them."""
        why = self._results.why_incomplete()
        if why is not None:
            raise unavailable(why)

    def ever_written(self, topic: str) -> bool:
        """Whether the topic ever held a record: OpenSearch's indices exist from the first one on."""
        return self._documents.ever_written(topic) or self._results.ever_written(topic)

    def require_detectors(self, resource: str | None = "index_expression") -> None:
        """Raise 404 while no detector was ever created, as long as OpenSearch has no index for them."""
        if not self.ever_written("detectors"):
            raise index_not_found(OPENSEARCH.detectors, resource)
