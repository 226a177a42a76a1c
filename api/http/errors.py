"""Exceptions as answers in OpenSearch's error envelope.

schemas.errors.Refused      a request that is refused
├── Plain                   by OpenSearch's HTTP layer: ``{"error": "<reason>"}``
├── Challenge               for want of authentication, with ``WWW-Authenticate``
└── Text                    in plain text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.errors import Refused


class Plain(Refused):
    """A refusal of the HTTP layer: the reason alone, with ``status`` unless ``bare``."""

    def __init__(
        self, status: int, reason: str, *, bare: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, reason)
        self.bare = bare
        self.headers = dict(headers or {})


class Challenge(Refused):
    """401: missing or wrong credentials. ``shown`` is for the log: a name, never a secret."""

    def __init__(self, reason: str, **shown: str) -> None:
        super().__init__(401, reason, "security_exception")
        self.shown = shown
        self.headers = {"WWW-Authenticate": 'Basic realm="riverwatch", charset="UTF-8"'}


class Text(Refused):
    """A refusal that OpenSearch answers in plain text, as some of preview's."""


_UNWRAPPED = ("x_content_parse_exception", "parsing_exception")
"""The causes of a parsing error that OpenSearch shows in its place as the root cause."""


def envelope(error: Refused) -> dict[str, Any]:
    """The error envelope.

    >>> envelope(Refused(404, "no"))["error"]["root_cause"]
    [{'type': 'status_exception', 'reason': 'no'}]
    """
    root = error
    while root.kind == _UNWRAPPED[0] and isinstance(root.__cause__, Refused) and root.__cause__.kind in _UNWRAPPED:
        root = root.__cause__
    return {"error": {"root_cause": [_shown(root)], **_shown(error), **_caused_by(error)}, "status": error.status}


def _shown(error: Refused) -> dict[str, Any]:
    return {"type": error.kind, "reason": error.reason, **error.details}


def _caused_by(error: Refused) -> dict[str, Any]:
    cause = error.__cause__
    return {"caused_by": {**_shown(cause), **_caused_by(cause)}} if isinstance(cause, Refused) else {}


def error_body(error: Exception) -> tuple[int, Any]:
    """Status and body for any exception; one that is no ``Refused`` is an internal error.

    >>> error_body(ValueError("x"))[0]
    500
    """
    if isinstance(error, Text):
        return error.status, error.reason
    if isinstance(error, Plain):
        body: dict[str, Any] = {"error": error.reason}
        return error.status, body if error.bare else {**body, "status": error.status}
    if isinstance(error, Refused):
        return error.status, envelope(error)
    reason = f"internal error ({type(error).__name__}); the API's log has the details"
    return 500, envelope(Refused(500, reason, "internal_server_error"))


def index_not_found(index: str, resource: str | None = "index_or_alias") -> Refused:
    """OpenSearch's error for an index, here a topic, that does not exist.

    >>> index_not_found("metrics").details["index"]
    'metrics'
    """
    named = {} if resource is None else {"resource.id": index, "resource.type": resource}
    details = {"index": index, **named, "index_uuid": "_na_"}
    return Refused(404, f"no such index [{index}]", "index_not_found_exception", details)


def unavailable(reason: str) -> Refused:
    """503, while Kafka is unreachable or the views are incomplete."""
    return Refused(503, reason, "service_unavailable_exception")


def unknown_detector(id: str) -> Refused:
    """404 for an unknown detector id."""
    return Refused(404, f"Can't find config with id: {id}")
