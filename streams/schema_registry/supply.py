"""Schemas for what workers decode: fetched beside the event loop, waited for while the registry is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog

from streams.formats.written_schema import SchemasWanted
from streams.schema_registry.client import RegistryAway, SchemaRegistry

log = structlog.get_logger()

T = TypeVar("T")

PAUSE = 1.0
"""Seconds between two attempts."""

TOLD_EVERY = 30.0
"""Seconds between two lines of the log about a registry that is away."""


class SchemaSupply:
    """The registry of a worker."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._registry = SchemaRegistry(settings)
        self._told = -TOLD_EVERY
        self.known = self._registry.known

    async def supplied(self, act: Callable[[], T]) -> T:
        """What ``act`` returns, once every schema is known that it wants. Without a registry it waits for one."""
        while True:
            try:
                return act()
            except SchemasWanted as wanted:
                await self._provide(wanted)

    async def _provide(self, wanted: SchemasWanted) -> None:
        try:
            await asyncio.to_thread(self._registry.fetch, wanted.ids)
        except RegistryAway as error:
            if time.monotonic() - self._told >= TOLD_EVERY:
                self._told = time.monotonic()
                log.warning("records wait for the schema registry", error=str(error), schemas=sorted(wanted.ids))
            await asyncio.sleep(PAUSE)
