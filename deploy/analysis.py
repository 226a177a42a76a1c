"""A historical analysis as one watches it, whether through the topics or through the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from schemas.task import LIVE_STATES

A = TypeVar("A", bound="Analysis")


@dataclass
class Analysis:
    """What is known about one analysis. ``share`` goes from 0 to 1, ``records`` is None where nobody says it."""

    task_id: str
    state: str = "CREATED"
    share: float = 0.0
    records: int | None = None
    windows: int = 0
    entities: int = 0
    anomalies: int = 0
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in LIVE_STATES

    def document(self, seconds: float) -> dict[str, Any]:
        """This as a JSON object, ``seconds`` after the start.

        >>> Analysis("t", "RUNNING", share=0.25, records=100).document(5.0)["seconds_left"]
        15.0
        """
        left = seconds * (1 - self.share) / self.share if 0 < self.share < 1 else None
        shown: dict[str, Any] = {"task_id": self.task_id, "state": self.state, "progress": self.share}
        if self.records is not None:
            shown["records"] = self.records
            shown["records_per_second"] = round(self.records / seconds) if seconds > 0 else 0
        return shown | {
            "entities": self.entities,
            "windows": self.windows,
            "anomalies": self.anomalies,
            "seconds": round(seconds, 1),
            "seconds_left": None if left is None or self.over else round(left, 1),
            "error": self.error,
        }


class Analyses(Protocol[A]):
    """A way to start, follow and stop analyses. Raises ``DeployError`` for a refusal."""

    def find(self, detector: str) -> str:
        """The id of a detector that is given by its id or its name."""

    def start(self, detector_id: str, start_ms: int, end_ms: int) -> A:
        """Start an analysis."""

    def follow(self, progress: A, seconds: float) -> None:
        """Take in what comes within ``seconds``."""

    def stop(self, detector_id: str) -> None:
        """Stop the running analysis of a detector."""

    def close(self) -> None:
        """Let go of the connections."""
