"""Previews: a detector that nobody keeps is run over a range, by the workers, as a historical analysis is.

There is one mechanism that scores the past. A preview makes a detector and an analysis of its own, hidden from
every view (their ids begin with ``preview-``), waits for its end, and deletes both. Its results stand on the
results topic like any others; the API's store leaves them out.
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
    """The previews under way in this process. All methods belong to the event loop."""

    def __init__(
        self, settings: ApiSettings, commands: Commands, catalog: Catalog, results_read: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._catalog = catalog
        self._results_read = results_read
        self._found: dict[str, PreviewResults] = {}

    def take(self, record: KafkaRecord) -> None:
        """A result of some preview came in; other processes' previews are dropped."""
        result = decode_result(record.value or b"")
        if result.detector_id in self._found:
            self._found[result.detector_id].take(result)

    async def run(self, document: Mapping[str, Any], start: int, end: int, user: User | None) -> PreviewResults:
        """The results of a detector over ``[start, end)`` (epoch ms), as far as they may be shown.

        Raises ``Refused``: throttled, refused by the coordinator, or not finished in time.
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
