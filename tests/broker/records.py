"""Records of the tests on a whole Riverwatch."""

from __future__ import annotations

from typing import Any

START = 1_700_000_000_000


def points(seconds: range, *, host: str = "a", value: float = 1.0) -> list[dict[str, Any]]:
    """One record a second of one host."""
    return [{"time": START + second * 1000, "host": host, "value": value} for second in seconds]
