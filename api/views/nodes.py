"""What the workers last said about themselves on the topic ``nodes``. A worker that falls silent is dropped."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.node import Node, RunStatistics, decode_node


class Nodes:
    """The live workers by node id. Only the event loop touches it."""

    def __init__(self, silence: float) -> None:
        self._silence_ms = silence * 1000
        self._nodes: dict[str, Node] = {}

    def apply(self, key: str, value: bytes | None) -> None:
        """Apply a record of ``nodes``. Raises ``msgspec.DecodeError`` for bytes that are none."""
        if value is None:
            self._nodes.pop(key, None)
        else:
            self._nodes[key] = decode_node(value)

    def live(self, now: float) -> dict[str, Node]:
        """The workers heard from lately; ``now`` is epoch ms."""
        return {id: node for id, node in sorted(self._nodes.items()) if now - node.time <= self._silence_ms}

    def runs(self, detector_id: str, now: float) -> Iterable[tuple[Node, RunStatistics]]:
        """What each live worker knows of a detector's run."""
        for node in self.live(now).values():
            for run in node.runs:
                if run.detector_id == detector_id:
                    yield node, run
