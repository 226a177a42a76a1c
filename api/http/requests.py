"""The request that a handler gets, with checked parameters and body, and the answer that it returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api.http.index_names import OPENSEARCH, SEARCH_GUARD, IndexNames
from api.http.parsing import read, read_object
from api.security.permissions import Identity
from schemas.command import User
from schemas.errors import Refused
from schemas.query.errors import suggestion
from schemas.token import illegal_argument, parsing_failed, token

T = TypeVar("T")

FLAGS = ("pretty", "human", "error_trace")
RESPONSE_PARAMETERS = (*FLAGS, "filter_path", "format")
"""Parameters of every route: they only affect the form of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. ``payload`` is rendered as JSON; ``bytes`` go out as they are, with their ``Content-Type``."""

    payload: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One request. ``prefix`` is the part of the path before the route's own."""

    method: str
    path: str
    prefix: str
    path_parameters: dict[str, str]
    parameters: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    identity: Identity | None = None
    """The authenticated user; None without authentication."""
    now: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """When the request came, epoch ms."""
    _document: dict[str, Any] | None = None

    @property
    def user(self) -> User | None:
        """The user, as documents record it."""
        return None if self.identity is None else self.identity.user

    @property
    def search_guard(self) -> bool:
        """Whether the request uses Search Guard's prefix, whose names and statistics differ."""
        return self.prefix.startswith("/_anomaly_detection")

    @property
    def index_names(self) -> IndexNames:
        """The index names of the dialect that the request speaks."""
        return SEARCH_GUARD if self.search_guard else OPENSEARCH

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter; without a value it is true. Raises ``Refused`` (400) for other values."""
        value = self.parameters.get(name)
        if value is None:
            return default
        if value in ("", "true"):
            return True
        if value == "false":
            return False
        raise illegal_argument(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")

    def whole_number(self, name: str) -> int | None:
        """An integer parameter; None when absent. Raises ``Refused`` (400)."""
        value = self.parameters.get(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError as error:
            raise illegal_argument(f"Failed to parse long parameter [{name}] with value [{value}]") from error

    def refresh(self) -> None:
        """Check ``refresh``, which has no effect: every write is visible once it is answered."""
        value = self.parameters.get("refresh")
        if value is not None and value not in ("", "true", "false", "wait_for"):
            raise illegal_argument(f"Unknown value for refresh: [{value}].")

    def json_object(self) -> dict[str, Any]:
        """The body, a JSON object. Raises ``Refused`` (400) for another one, and when there is none."""
        if not self.body:
            raise Refused(400, "request body is required", "parse_exception")
        return self._decoded(self.body)

    def read(self, reader: Callable[[dict[str, Any]], T]) -> T:
        """The body, read by ``reader``. Its parsing errors get their position in the body."""
        return read(self.body, self.json_object(), reader)

    def search_source(self) -> dict[str, Any]:
        """The body of a search, or the ``source`` parameter in its place."""
        return self._decoded(self._search_text(), search=True)

    def read_search(self, reader: Callable[[dict[str, Any]], T]) -> T:
        """The body of a search, or the ``source`` parameter, read by ``reader``; see ``read``."""
        return read(self._search_text(), self.search_source(), reader)

    def _search_text(self) -> bytes:
        if self.body:
            return self.body
        source, kind = self.parameters.get("source"), self.parameters.get("source_content_type")
        if source is None:
            raise Refused(400, "request body or source parameter is required", "parse_exception")
        if kind is None:
            raise Refused(500, "source and source_content_type parameters are required", "illegal_state_exception")
        if not is_json(kind):
            raise Refused(500, f"Unknown value for source_content_type [{kind}]", "illegal_state_exception")
        return source.encode()

    def _decoded(self, text: bytes, *, search: bool = False) -> dict[str, Any]:
        if self._document is None:
            self._document = read_object(text, search=search)
        return self._document


def is_json(content_type: str) -> bool:
    """Whether a content type is one of those of JSON.

    >>> is_json("application/json; charset=UTF-8"), is_json("text/plain")
    (True, False)
    """
    return content_type.split(";")[0].strip().lower() in _JSON_TYPES


_JSON_TYPES = ("application/json", "application/x-ndjson", "application/vnd.opensearch+json")


def milliseconds(value: Any) -> int:
    """A time in a body as epoch ms; a string of digits is accepted, too.

    >>> milliseconds("1795493335499"), milliseconds(1.5)
    (1795493335499, 1)
    """
    if isinstance(value, dict | list):
        raise parsing_failed(f"Failed to parse object: unexpected token [{token(value)}] found")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise illegal_argument(f"time must be epoch milliseconds, found [{token(value)}]")
    try:
        number = int(value)
    except (ValueError, OverflowError):
        raise illegal_argument(f'For input string: "{value}"') from None
    if not -(2**63) <= number < 2**63:
        raise illegal_argument(f"Numeric value ({value}) out of range of long")
    return number


def check_parameters(path: str, given: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Refuse unknown parameters, suggesting similar names.

    >>> check_parameters("/x", {"tasks": "1"}, ("job", "task"))
    Traceback (most recent call last):
      ...
    schemas.errors.Refused: request [/x] contains unrecognized parameter: [tasks] -> did you mean [task]?
    """
    accepted = (*known, *RESPONSE_PARAMETERS)
    unknown = sorted(name for name in given if name not in accepted)
    if unknown:
        raise illegal_argument(unrecognized(path, unknown, accepted, "parameter"))


def unrecognized(path: str, unknown: list[str], candidates: tuple[str, ...], detail: str) -> str:
    """OpenSearch's message about unknown names."""
    named = []
    for name in unknown:
        near = suggestion(name, candidates)
        named.append(f"[{name}]" + (f" ->{near}" if near else ""))
    return f"request [{path}] contains unrecognized {detail}{'s' if len(unknown) > 1 else ''}: {', '.join(named)}"
