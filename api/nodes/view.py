"""The live workers: a fold over the topic ``nodes``. A worker that stops reporting is dropped."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.node import Node, RunStatistics, decode_node

NO_WORKER = "no worker is running: start one with riverwatch worker"
"""The error of everything that should be running while there is no worker."""


class Nodes:
    """The live workers by node id; ``silence`` is in seconds. Not thread-safe: for the event loop only.

    Age is measured by this process's clock since a worker's record arrived, not by the worker's clock.
    """

    def __init__(self, silence: float) -> None:
        self._silence_ms = silence * 1000
        self._nodes: dict[str, tuple[float, Node]] = {}

    def apply(self, key: str, value: bytes | None, heard: float) -> None:
        """Apply a record of ``nodes`` that arrived at ``heard`` (epoch ms). Raises ``msgspec.DecodeError``."""
        if value is None:
            self._nodes.pop(key, None)
        else:
            self._nodes[key] = heard, decode_node(value)

    def live(self, now: float) -> dict[str, Node]:
        """The workers that reported recently; ``now`` is epoch ms."""
        return {id: node for id, (heard, node) in sorted(self._nodes.items()) if now - heard <= self._silence_ms}

    def error(self, error: str | None, now: float) -> str:
        """The error of something that should be running: its own error, and that there is no worker if so."""
        return "; ".join(filter(None, (None if self.live(now) else NO_WORKER, error)))

    def runs(self, detector_id: str, now: float) -> Iterable[tuple[Node, RunStatistics]]:
        """The statistics of a detector's run on each live worker."""
        for node in self.live(now).values():
            for run in node.runs:
                if run.detector_id == detector_id:
                    yield node, run
