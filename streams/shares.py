"""Shares of the topic ``windows``: what one worker owns there, and how it takes them over."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from confluent_kafka import KafkaException, Message

from streams.fence import Fold, Held, Record, claim_key, deleted, parse_key, written
from streams.log import Log
from streams.outbox import Outbox
from streams.settings import Settings

log = structlog.get_logger()


@dataclass
class Share:
    """A share that is ours under ``epoch``, by the record with the key ``claim``.

    ``held`` is what it had by name when it was taken over; of what has been written since, only the names are kept.

    >>> share = Share("m/0", "claim|m/0|x", 7, {"a": Held(3, b"before")})
    >>> share.write("a", b"now"), share.write("a", b"later"), share.delete("a"), share.delete("a")
    ([('7|m/0|a', b'now'), ('3|m/0|a', None)], [('7|m/0|a', b'later')], [('7|m/0|a', None)], [])
    """

    name: str
    claim: str
    epoch: int
    held: dict[str, Held]

    def write(self, name: str, value: bytes) -> list[Record]:
        """The records, in this order, that write a value."""
        before = self.held.get(name)
        self.held[name] = Held(self.epoch, b"")
        return written(self.epoch, self.name, name, value, None if before is None else before.epoch)

    def forget_values(self) -> None:
        """What was held has been restored: it may be large."""
        self.held = {name: Held(epoch, value and b"") for name, (epoch, value) in self.held.items()}

    def delete(self, name: str) -> list[Record]:
        """The records, in this order, that delete a value; none where there is none."""
        before = self.held.pop(name, None)
        if before is None or before.value is None:
            return []
        return deleted(self.epoch, self.name, name, before.epoch)


class Shares:
    """Takes shares over and writes to them.

    Reading the topic costs the same for one share as for all: those that are taken over at a time are read at once.
    """

    def __init__(self, settings: Settings, outbox: Outbox, kafka: Log) -> None:
        self._settings = settings
        self._outbox = outbox
        self._kafka = kafka
        self._topic = settings.topic("windows")
        self._reading = asyncio.Lock()
        self._wanted: set[str] = set()
        self._folds: dict[str, Fold] = {}

    async def take_over(self, names: Iterable[str]) -> dict[str, Share]:
        """Claim shares, and read what they have. Waits while Kafka is away; raises ``DeliveryFailed``."""
        claims = {name: claim_key(name, uuid.uuid4().hex) for name in names}
        epochs: dict[str, int] = {}
        owner = self._settings.node_id.encode()
        for name, key in claims.items():
            await self._outbox.send(self._topic, owner, key=key, on_delivery=partial(_claimed, epochs, name))
        await self._outbox.barrier()
        shares = {}
        for name, fold in (await self._read(claims)).items():
            await self.write(fold.cleanup(epochs[name]))
            shares[name] = Share(name, claims[name], epochs[name], dict(fold.held))
        return shares

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
        for message in self._kafka.whole(self._topic, [0]):
            key = (message.key() or b"").decode(errors="replace")
            parsed = parse_key(key)
            if parsed is not None and parsed.share in folds:
                folds[parsed.share].add(message.offset(), key, message.value())
        return folds

    async def write(self, records: Iterable[Record]) -> None:
        """Hand records of shares to the outbox."""
        for key, value in records:
            await self._outbox.send(self._topic, value, key=key)

    async def give_back(self, share: Share) -> None:
        """Leave nothing of a share behind: it is of no use to anybody any more."""
        for name in list(share.held):
            await self.write(share.delete(name))
        await self.write([(share.claim, None)])


def _claimed(epochs: dict[str, int], name: str, message: Message) -> None:
    epochs[name] = message.offset()
