"""Previews: the workers run a temporary detector over a range, as a historical analysis.

There is one way to score the past. A preview creates a detector and an analysis, which no view shows (their ids begin
with ``preview-``), waits until the analysis ends, and deletes both. The results are written to the results topic like
all others; the API's store skips them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from api.detectors.catalog import Catalog
from api.detectors.preview_results import PreviewResults
from api.kafka.commands import Commands
from api.settings import ApiSettings
from schemas.command import DetectorDelete, DetectorPut, HistoryStart, HistoryStop, User
from schemas.errors import Refused
from schemas.result import decode_result
from schemas.state import HIDDEN
from schemas.task import LIVE_STATES
from streams.kafka.follower import KafkaRecord

log = structlog.get_logger()

_MARK = b'"detector_id":"' + HIDDEN.encode()


def is_preview(record: KafkaRecord) -> bool:
    """Whether a record of the results topic belongs to a preview."""
    return record.value is not None and _MARK in record.value


class Previews:
    """The previews that this process runs. Not thread-safe: for the event loop only."""

    def __init__(
        self, settings: ApiSettings, commands: Commands, catalog: Catalog, results_read: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._catalog = catalog
        self._results_read = results_read
        self._found: dict[str, PreviewResults] = {}

    def take(self, record: KafkaRecord) -> None:
        """Take a preview's result; those of other processes' previews are dropped."""
        result = decode_result(record.value or b"")
        if result.detector_id in self._found:
            self._found[result.detector_id].take(result)

    async def run(self, document: Mapping[str, Any], start: int, end: int, user: User | None) -> PreviewResults:
        """The results of a detector over ``[start, end)`` (epoch ms), up to the limits of previews.

        Raises ``Refused`` when too many previews run, when the coordinator refuses, and when it takes too long.
        """
        if len(self._found) >= self._settings.max_previews:
            raise Refused(500, "Request throttled. Please try again later.")
        id = HIDDEN + secrets.token_hex(8)
        found = self._found[id] = PreviewResults(self._settings.preview_entities, self._settings.preview_results)
        hidden = {**document, "name": id, "result_index": None}
        try:
            await self._commands.submit(DetectorPut(detector_id=id, detector=hidden, mode="create", user=user))
            async with asyncio.timeout(self._settings.preview_timeout):
                command = HistoryStart(detector_id=id, start_time=start, end_time=end, user=user)
                reply = await self._commands.submit(command)
                await self._ended(reply.id)
                await self._results_read()
            return found
        except TimeoutError:
            seconds = self._settings.preview_timeout
            raise Refused(500, f"the preview did not end within {seconds:g} s", "timeout_exception") from None
        finally:
            del self._found[id]
            self._cleaning = asyncio.create_task(self._clean(id, user))

    async def _ended(self, task_id: str) -> None:
        while True:
            task = self._catalog.hidden_tasks.get(task_id)
            if task is not None and task.source["state"] not in LIVE_STATES:
                return
            await asyncio.sleep(0.05)

    async def _clean(self, id: str, user: User | None) -> None:
        for command in (HistoryStop(detector_id=id, user=user), DetectorDelete(detector_id=id, user=user)):
            try:
                await self._commands.submit(command)
            except Refused as refused:
                if isinstance(command, DetectorDelete):
                    log.warning("a preview's detector could not be deleted", id=id, reason=refused.reason)
