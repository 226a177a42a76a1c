"""The REST API's routes that ``riverwatch detectors`` and the demo use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from deploy.api_client.settings import ClientSettings
from deploy.errors import AccessDenied, ApiUnreachable, DeployError, NotFound

PREFIX = "/_plugins/_anomaly_detection/detectors"
LARGEST_PAGE = 10_000
"""Hits; there are at most RIVERWATCH_MAX_DETECTORS (1,000) detectors."""

Document = dict[str, Any]


class DetectorsApi:
    """A client of the API. Every answer that is no success raises a ``DeployError``, or the subclass that fits.

    While the API is not ready (503), requests are repeated for ``patience`` seconds. ``warnings`` is what the API
    has said that people should know of what was done.
    """

    def __init__(self, settings: ClientSettings, *, patience: float = 10.0) -> None:
        self._url, self._patience = settings.url, patience
        self.warnings: list[str] = []
        self._client = httpx.Client(
            base_url=settings.url,
            timeout=90.0,  # longer than RIVERWATCH_REQUEST_TIMEOUT (60 s), after which the API answers why
            headers=settings.headers(),
            auth=settings.basic(),
            verify=settings.tls(),
        )

    def __enter__(self) -> DetectorsApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # -- detectors --------------------------------------------------------------------------------------------

    def find(self, detector: str) -> str:
        """The id of a detector that is given by its id or its name."""
        either = [{"ids": {"values": [detector]}}, {"term": {"name.keyword": {"value": detector}}}]
        found = [each["_id"] for each in self._hits("/_search", {"query": {"bool": {"should": either}}, "size": 2})]
        if not found:
            raise NotFound(f"there is no detector with the id or name {detector}")
        return detector if detector in found else str(found[0])

    def all(self) -> list[Document]:
        """All detectors by name: hits with ``_id`` and ``_source``."""
        query = {"query": {"match_all": {}}, "sort": [{"name.keyword": "asc"}], "size": LARGEST_PAGE}
        return self._hits("/_search", query)

    def get(self, detector_id: str) -> Document:
        """A detector with its job and its latest tasks."""
        return self.request("GET", f"{PREFIX}/{detector_id}", parameters={"job": "true", "task": "true"})

    def window_delay(self, detector_id: str) -> str:
        """How long windows wait for late records: the given delay, or the measured one."""
        return str(self.request("GET", f"{PREFIX}/{detector_id}/_profile/window_delay")["window_delay"])

    def create(self, document: Document) -> str:
        """Create a detector; returns its id."""
        return str(self.request("POST", PREFIX, document)["_id"])

    def delete(self, detector_id: str) -> None:
        """Delete a detector that is not running."""
        self.request("DELETE", f"{PREFIX}/{detector_id}")

    # -- jobs -------------------------------------------------------------------------------------------------

    def start(self, detector_id: str, begin: str = "now") -> None:
        """Start real-time detection with records from ``now`` on, or from the topics' beginning (``earliest``)."""
        _refuse_soft(self.request("POST", f"{PREFIX}/{detector_id}/_start", parameters={"from": begin}))

    def analyse(self, detector_id: str, start_ms: int, end_ms: int) -> str:
        """Start a historical analysis; returns the task's id."""
        body = {"start_time": start_ms, "end_time": end_ms}
        answer = self.request("POST", f"{PREFIX}/{detector_id}/_start", body)
        _refuse_soft(answer)
        return str(answer["_id"])

    def stop(self, detector_id: str, *, historical: bool = False) -> None:
        """Stop real-time detection, or the running analysis."""
        path = f"{PREFIX}/{detector_id}/_stop"
        _refuse_soft(self.request("POST", path, parameters={"historical": _text(historical)}))

    def tasks(self, query: Document) -> list[Document]:
        """Tasks that match a query: hits with ``_id`` and ``_source``."""
        return self._hits("/tasks/_search", {"query": query, "size": LARGEST_PAGE})

    def workers(self) -> int | None:
        """How many workers are alive; None without the permission to know."""
        try:
            return len(self.request("GET", f"{PREFIX.removesuffix('/detectors')}/stats/model_count")["nodes"])
        except AccessDenied:
            return None

    # -- results ----------------------------------------------------------------------------------------------

    def results(self, body: Document) -> Document:
        """The answer of a search for results."""
        return self.request("POST", f"{PREFIX}/results/_search", body)

    def top(self, detector_id: str, body: Document, *, historical: bool) -> list[Document]:
        """The entities with the worst or the most anomalies."""
        path = f"{PREFIX}/{detector_id}/results/_topAnomalies"
        buckets: list[Document] = self.request("POST", path, body, {"historical": _text(historical)})["buckets"]
        return buckets

    def request(
        self, method: str, path: str, body: Document | None = None, parameters: Mapping[str, str] | None = None
    ) -> Document:
        """Send a request; returns the answer's document."""
        for attempt in _attempts(self._patience):
            try:
                answer = self._client.request(method, path, json=body, params=parameters)
            except httpx.TransportError as error:
                raise ApiUnreachable(
                    f"the API does not answer at {self._url} ({error}). Check --url ({_VARIABLE}), and that riverwatch"
                    " api or riverwatch up is running."
                ) from error
            if answer.status_code != 503 or not attempt:
                break
        if answer.is_success:
            if (warning := answer.headers.get("warning")) is not None:
                self.warnings.append(warning.partition('"')[2].removesuffix('"'))
            document: Document = answer.json()
            return document
        raise _refusal(answer, f"{method} {path}")

    def _hits(self, path: str, body: Document) -> list[Document]:
        try:
            hits: list[Document] = self.request("POST", PREFIX + path, body)["hits"]["hits"]
        except NotFound:
            return []  # as in OpenSearch: no index exists before the first detector, or task
        return hits


_VARIABLE = "RIVERWATCH_CLIENT_URL"


def _attempts(seconds: float) -> Iterator[bool]:
    """Whether there is another attempt after this one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield True
        time.sleep(0.2)
    yield False


def _text(flag: bool) -> str:
    return "true" if flag else "false"


def _refuse_soft(answer: Mapping[str, Any]) -> None:
    """Raise errors that OpenSearch answers with status 200, such as that a job is running already."""
    if "error" in answer:
        raise DeployError(reason_of(answer))


def _refusal(answer: httpx.Response, request: str) -> DeployError:
    try:
        reason = reason_of(answer.json())
    except ValueError:
        reason = answer.text[:500]
    kinds: dict[int, type[DeployError]] = {
        401: AccessDenied,
        403: AccessDenied,
        404: NotFound,
        503: ApiUnreachable,
    }
    hint = " (give --user, --api-key, --token or --certificate)" if answer.status_code == 401 else ""
    return kinds.get(answer.status_code, DeployError)(
        f"the API refuses {request} with {answer.status_code}: {reason}{hint}"
    )


def reason_of(answer: Mapping[str, Any]) -> str:
    """The reason in OpenSearch's error envelope.

    >>> reason_of({"error": {"type": "t", "reason": "no"}, "status": 400}), reason_of({"error": "no handler"})
    ('no', 'no handler')
    """
    error = answer.get("error")
    if isinstance(error, Mapping):
        return str(error.get("reason") or error.get("type"))
    return str(error if error is not None else answer.get("reason", answer))
