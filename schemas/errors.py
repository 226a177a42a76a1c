"""What can go wrong, as the API says it.

    RiverwatchError             anything below
    ├── Refused                 a request or command that is not carried out: status, type, reason
    └── UnknownVersion          a record written by a newer Riverwatch

``Refused`` carries OpenSearch's error type (snake-cased class name) and its HTTP status, so that one function
can render the error envelope from it wherever it was raised.
"""

from __future__ import annotations


class RiverwatchError(Exception):
    """Base class of all errors raised on purpose."""


class Refused(RiverwatchError):
    """A request that is not carried out.

    ``status`` is the HTTP status, ``kind`` OpenSearch's error type, ``reason`` a sentence for the caller.

    >>> Refused(404, "Can't find config with id: x").kind
    'status_exception'
    """

    def __init__(self, status: int, reason: str, kind: str = "status_exception") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.kind = kind


class UnknownVersion(RiverwatchError):
    """A record whose version this release cannot read."""
