"""Shares of a compacted topic: what one worker owns there, and how it takes them over."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import structlog
from confluent_kafka import KafkaException, Message

from schemas.errors import RiverwatchError
from streams.fencing.fence import NO_EPOCH, Fold, Held, Record, claim_key, claim_value, parse_key
from streams.fencing.share import Share
from streams.kafka.log import Log
from streams.kafka.outbox import Outbox
from streams.settings import Settings

log = structlog.get_logger()


class ShareLost(RiverwatchError):
    """Somebody else has claimed a share in a later generation of the consumer group: it is no longer ours."""


class Shares:
    """Takes shares of one partition of a topic over, and writes to them.

    ``generation`` gives the generation of the consumer group that this worker knows. Reading the partition costs the
    same for one share as for all: those that are taken over at a time are read at once.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        kafka: Log,
        topic: str,
        partition: int = 0,
        *,
        generation: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._kafka = kafka
        self._topic = settings.topic(topic)
        self._partition = partition
        self._generation = generation
        self._reading = asyncio.Lock()
        self._wanted: set[str] = set()
        self._folds: dict[str, Fold] = {}

    async def take_over(self, names: Iterable[str]) -> dict[str, Share]:
        """Claim shares, and read what they have. Waits while Kafka is away.

        Raises ``ShareLost`` for a share that was assigned to somebody else meanwhile, and ``DeliveryFailed``.
        """
        generation = self._generation()
        claims = await self._claim(names, generation)
        for name, fold in (await self._read(claims)).items():
            if fold.epoch != claims[name].epoch:
                raise ShareLost(
                    f"{name} in {self._topic} was claimed in generation {fold.generation} of the consumer group, and"
                    f" this worker is of generation {generation}: it was paused, or the group was deleted"
                )
            await self.write(fold.cleanup(claims[name].epoch))
            claims[name].held = dict(fold.held)
        return claims

    async def _claim(self, names: Iterable[str], generation: int) -> dict[str, Share]:
        shares = {name: Share(name, claim_key(name, uuid.uuid4().hex), NO_EPOCH, {}) for name in names}
        value = claim_value(generation, self._settings.node_id)
        for share in shares.values():
            await self._send(share.claim, value, on_delivery=partial(_claimed, share))
        await self._outbox.barrier()
        return shares

    async def read(self, share: Share) -> dict[str, Held]:
        """What a share of ours has now."""
        return (await self._read([share.name]))[share.name].held

    async def _read(self, names: Iterable[str]) -> dict[str, Fold]:
        self._wanted.update(names)
        async with self._reading:
            # Whoever waited for us to read has claimed before: its shares have been read with ours.
            if missing := {name for name in names if name not in self._folds}:
                wanted, self._wanted = self._wanted | missing, set()
                self._folds.update(await self._fold_all(wanted))
            return {name: self._folds.pop(name) for name in names}

    async def _fold_all(self, names: Iterable[str]) -> dict[str, Fold]:
        while True:
            try:
                return await asyncio.to_thread(self._fold, names)
            except KafkaException as error:
                log.warning("waiting for Kafka", reading=self._topic, error=str(error))
                await asyncio.sleep(1.0)

    def _fold(self, names: Iterable[str]) -> dict[str, Fold]:
        folds = {name: Fold(name) for name in names}
        for message in self._kafka.whole(self._topic, [self._partition]):
            key = (message.key() or b"").decode(errors="replace")
            parsed = parse_key(key)
            if parsed is not None and parsed.share in folds:
                folds[parsed.share].add(message.offset(), key, message.value())
        return folds

    async def write(self, records: Iterable[Record]) -> None:
        """Hand records of shares to the outbox."""
        for key, value in records:
            await self._send(key, value)

    async def _send(self, key: str, value: bytes | None, **rest: Any) -> None:
        await self._outbox.send(self._topic, value, key=key, partition=self._partition, **rest)

    async def give_back(self, share: Share) -> None:
        """Leave nothing of a share behind: it is of no use to anybody any more."""
        for name in list(share.held):
            await self.write(share.delete(name))
        await self.write([(share.claim, None)])


def _claimed(share: Share, message: Message) -> None:
    share.epoch = message.offset()
