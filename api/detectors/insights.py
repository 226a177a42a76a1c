"""Insights: disabled, which is OpenSearch's default."""

from __future__ import annotations

from api.http.requests import Answer, Request
from schemas.errors import Refused


async def insights(_request: Request) -> Answer:
    """``POST /insights/_start``, ``GET /insights/_status``, ``POST /insights/_stop``."""
    raise Refused(
        500,
        "Insights feature is disabled. Enable it via cluster setting 'plugins.anomaly_detection.insights_enabled'.",
        "illegal_state_exception",
    )
