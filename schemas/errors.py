"""What can go wrong, as the API says it.

    RiverwatchError             anything below
    ├── Refused                 a request or command that is not carried out: status, type, reason
    │   └── DetectorInvalid     a detector document that breaks a rule: the field it is about
    └── UnknownVersion          a record written by a newer Riverwatch

``Refused`` carries OpenSearch's error type (snake-cased class name) and its HTTP status, so that one function
can render the error envelope from it wherever it was raised.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class RiverwatchError(Exception):
    """Base class of all errors raised on purpose."""


class Refused(RiverwatchError):
    """A request that is not carried out.

    ``status`` is the HTTP status, ``kind`` OpenSearch's error type, ``reason`` a sentence for the caller,
    ``details`` further members of the error (``line`` and ``col`` of a parsing error, ``index`` ...).

    >>> Refused(404, "Can't find config with id: x").kind
    'status_exception'
    """

    def __init__(
        self,
        status: int,
        reason: str,
        kind: str = "status_exception",
        details: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.kind = kind
        self.details = dict(details or {})


def first_cause(refused: Refused) -> Refused:
    """What a refusal comes from: itself, or the last of its causes that are refusals."""
    while isinstance(refused.__cause__, Refused):
        refused = refused.__cause__
    return refused


class DetectorInvalid(Refused):
    """A detector document that breaks a rule of the API.

    ``field`` is the member that ``_validate`` reports it under, ``message`` its text there (create and update
    answer ``reason``, which is the same unless given), ``sub_issues`` a text for each feature concerned.
    The status is 500 where OpenSearch's is: clients that match on it exist.

    >>> DetectorInvalid("name", "name should be set").kind
    'validation_exception'
    """

    def __init__(
        self,
        field: str,
        message: str,
        *,
        status: int = 500,
        kind: str = "validation_exception",
        reason: str | None = None,
        sub_issues: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message if reason is None else reason, kind)
        self.field = field
        self.message = message
        self.sub_issues = dict(sub_issues or {})


class UnknownVersion(RiverwatchError):
    """A record whose version this release cannot read."""


UNREADABLE: tuple[type[Exception], ...] = (UnknownVersion, msgspec.MsgspecError, ValueError, RecursionError)
"""What the decoders raise for bytes that are none of theirs: texts that are no UTF-8 and nesting without end are among
them."""
