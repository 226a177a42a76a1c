"""The one producer of a worker: ordered, idempotent, and it can say when everything sent so far has arrived."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message, Producer

from schemas.errors import RiverwatchError

log = structlog.get_logger()


class DeliveryFailed(RiverwatchError):
    """Kafka refused a record for good; what depends on it must not go on."""


class _Epoch:
    """The records sent between two barriers."""

    __slots__ = ("closed", "done", "error", "loop", "outstanding")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.outstanding = 0
        self.closed = False
        self.error: str | None = None
        self.done: asyncio.Future[None] = loop.create_future()


class Outbox:
    """Sends records. ``send`` returns at once; ``barrier`` returns when all that was sent before has arrived.

    A record is never given up while Kafka is away (librdkafka keeps and retries it); ``send`` waits when too
    much is outstanding. A record that Kafka refuses (too large, topic gone for good) fails the barrier.
    """

    def __init__(self, client: Mapping[str, Any], *, linger_ms: int = 5, compression: str = "lz4") -> None:
        self._producer = Producer(
            dict(client)
            | {
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": linger_ms,
                "compression.type": compression,
                "partitioner": "murmur2_random",  # what Java clients use: any client finds the partition
                "message.timeout.ms": 0,  # without end: a record given up would be a result lost
                "message.max.bytes": 17_000_000,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 512_000,
            },
            logger=None,
        )
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._epoch = _Epoch(self._loop)
        self._before: asyncio.Future[None] | None = None
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._poller.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | str | None = None,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        on_delivery: Any = None,
    ) -> None:
        """Hand one record over. Raises ``BufferError`` when too much is outstanding: see ``send``.

        What the client itself refuses (a record above ``message.max.bytes``) raises ``KafkaException``.
        """
        epoch = self._epoch
        with self._lock:
            epoch.outstanding += 1

        try:
            self._producer.produce(
                topic,
                value=value,
                key=key,
                partition=partition,
                headers=headers,
                on_delivery=_Delivery(self, epoch, on_delivery),
            )
        except BaseException:
            # There will be no delivery report: a record still counted would keep every later barrier waiting.
            with self._lock:
                epoch.outstanding -= 1
            raise

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        """``produce`` that waits for room."""
        while True:
            try:
                return self.produce(topic, value, **rest)
            except BufferError:
                await asyncio.sleep(0.05)

    async def barrier(self) -> None:
        """Return when every record handed over before this call has arrived. Raises ``DeliveryFailed``."""
        epoch, self._epoch = self._epoch, _Epoch(self._loop)
        before, self._before = self._before, epoch.done
        with self._lock:
            epoch.closed = True
            empty = epoch.outstanding == 0
        if empty and not epoch.done.done():
            self._settle(epoch)
        if before is not None:
            await asyncio.shield(before)
        await asyncio.shield(epoch.done)

    def close(self, timeout: float = 10.0) -> int:
        """Wait for what is outstanding, at most ``timeout`` seconds; the number of records that did not arrive."""
        left = int(self._producer.flush(timeout))
        self._stopping.set()
        self._poller.join(1.0)
        return left

    def _delivered(self, epoch: _Epoch, error: KafkaError | None) -> None:
        if error is not None:
            log.error("record refused by Kafka", error=str(error))
            epoch.error = str(error)
        with self._lock:
            epoch.outstanding -= 1
            settle = epoch.closed and epoch.outstanding == 0
        if settle and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, epoch)

    @staticmethod
    def _settle(epoch: _Epoch) -> None:
        if epoch.done.done():
            return
        if epoch.error is None:
            epoch.done.set_result(None)
        else:
            epoch.done.set_exception(DeliveryFailed(epoch.error))


class _Delivery:
    """The delivery report of one record."""

    __slots__ = ("also", "epoch", "outbox")

    def __init__(self, outbox: Outbox, epoch: _Epoch, also: Any) -> None:
        self.outbox = outbox
        self.epoch = epoch
        self.also = also

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if self.also is not None and error is None:
            self.also(message)
        self.outbox._delivered(self.epoch, error)
