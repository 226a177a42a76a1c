"""The commit ledger: for each partition, the offset up to which nothing would be lost by a crash."""

from __future__ import annotations

from streams.kafka.tp import TP


class Ledger:
    """Safe offsets, written by the agents and read by the consumer's commit timer.

    An offset is the next one to read after a restart, as Kafka commits it.
    """

    def __init__(self) -> None:
        self._safe: dict[TP, int] = {}

    def mark(self, tp: TP, offset: int) -> None:
        """Everything before ``offset`` is safe. Never goes back."""
        if offset > self._safe.get(tp, -1):
            self._safe[tp] = offset

    def safe(self, tp: TP) -> int | None:
        """The offset to commit, None when nothing is known to be safe."""
        return self._safe.get(tp)

    def forget(self, tp: TP) -> None:
        """The partition is no longer ours, or is being read again from its committed offset."""
        self._safe.pop(tp, None)

    def partitions(self) -> list[TP]:
        """All partitions that have a safe offset."""
        return list(self._safe)
