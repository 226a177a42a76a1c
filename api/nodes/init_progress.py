"""How far a model is from giving grades."""

from __future__ import annotations

from typing import Any

from schemas.task import ROWS_TO_INIT


def init_progress(rows: int, period: dict[str, Any]) -> dict[str, Any]:
    """How far a model is from giving grades; members that would be 0 are left out, as the anchor does.

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
