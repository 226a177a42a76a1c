"""The initialization progress of models."""

from __future__ import annotations

from typing import Any

from schemas.task import ROWS_TO_INIT


def init_progress(rows: int, period: dict[str, Any]) -> dict[str, Any]:
    """The progress of a model until its first grade; members that are 0 are left out, as in OpenSearch.

    >>> init_progress(30, {"interval": 5, "unit": "Minutes"})
    {'percentage': '94%', 'estimated_minutes_left': 10, 'needed_shingles': 2}
    >>> init_progress(40, {"interval": 5, "unit": "Minutes"})
    {'percentage': '100%'}
    """
    missing = max(0, ROWS_TO_INIT - rows)
    progress: dict[str, Any] = {"percentage": f"{100 * (ROWS_TO_INIT - missing) / ROWS_TO_INIT:.0f}%"}
    if missing:
        seconds = missing * period["interval"] * (60 if period["unit"] == "Minutes" else 1)
        progress["estimated_minutes_left"] = -(-seconds // 60)
        progress["needed_shingles"] = missing
    return progress
