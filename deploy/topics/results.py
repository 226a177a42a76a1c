"""Reading the topics ``results`` and ``anomalies`` as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deploy.topics.reader import TopicReader
from schemas.result import Result, decode_result


class ResultReader:
    """Reads the results of a topic: see ``TopicReader``. ``unreadable`` counts records that are no results."""

    def __init__(self, client: Mapping[str, Any], topic: str, *, from_beginning: bool) -> None:
        self._reader = TopicReader(client, topic, from_beginning=from_beginning)
        self.unreadable = 0

    def poll(self, seconds: float) -> list[tuple[Result, bytes]]:
        """Results that arrive within ``seconds``, with their bytes. Unreadable records are skipped and counted."""
        results: list[tuple[Result, bytes]] = []
        for message in self._reader.poll(seconds):
            try:
                results.append((decode_result(message.value() or b""), message.value()))
            except msgspec.DecodeError:
                self.unreadable += 1
        return results

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
