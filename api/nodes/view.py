"""What the workers last said about themselves on the topic ``nodes``. A worker that falls silent is dropped."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.node import Node, RunStatistics, decode_node

NO_WORKER = "no worker is running: start one with riverwatch worker"
"""What is wrong with everything that should run while nobody is there to run it."""


class Nodes:
    """The live workers by node id. Only the event loop touches it.

    A worker is as old as our own clock says since its record came, whatever the worker's clock says.
    """

    def __init__(self, silence: float) -> None:
        self._silence_ms = silence * 1000
        self._nodes: dict[str, tuple[float, Node]] = {}

    def apply(self, key: str, value: bytes | None, heard: float) -> None:
        """Apply a record of ``nodes``, which came at ``heard`` (epoch ms). Raises ``msgspec.DecodeError``."""
        if value is None:
            self._nodes.pop(key, None)
        else:
            self._nodes[key] = heard, decode_node(value)

    def live(self, now: float) -> dict[str, Node]:
        """The workers heard from lately; ``now`` is epoch ms."""
        return {id: node for id, (heard, node) in sorted(self._nodes.items()) if now - heard <= self._silence_ms}

    def error(self, error: str | None, now: float) -> str:
        """The error of what should be running now, given the one that it has otherwise."""
        return "; ".join(filter(None, (None if self.live(now) else NO_WORKER, error)))

    def runs(self, detector_id: str, now: float) -> Iterable[tuple[Node, RunStatistics]]:
        """What each live worker knows of a detector's run."""
        for node in self.live(now).values():
            for run in node.runs:
                if run.detector_id == detector_id:
                    yield node, run
