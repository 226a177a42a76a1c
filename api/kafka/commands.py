"""Commands: a request becomes a record on ``control`` and waits for its outcome.

The outcome is read from ``replies``. It names the offsets of its effects; the caller gets it once the views have passed
them, so clients read their own writes.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from confluent_kafka import KafkaException, Producer

from api.http.errors import unavailable
from schemas.command import Command, Reply, encode_event
from schemas.errors import Refused
from schemas.state import HIDDEN
from streams.kafka.silence import SilentLogger

log = structlog.get_logger()


VIEWED = frozenset({"detectors", "state"})
"""Topics that are folded into views; a command may write to other topics, too."""


def _about(command: Command) -> dict[str, str | None]:
    """A command's fields in the log."""
    return {
        "user": None if command.user is None else command.user.name,
        "action": str(command.__struct_config__.tag),
        "detector": command.detector_id,
    }


class Commands:
    """Writes commands and matches replies. All methods except ``start`` and ``stop`` are for the event loop."""

    def __init__(self, client: Mapping[str, str], topic: str, timeout: float) -> None:
        self._client = client
        self._topic = topic
        self._timeout = timeout
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._applied: dict[str, int] = {}
        self._watchers: list[tuple[dict[str, int], asyncio.Future[None]]] = []
        self._stop = threading.Event()
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the producer."""
        self._producer = Producer(
            {
                **self._client,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "logger": SilentLogger(),
                # A command that is not written in time is refused: it must not be written later.
                "message.timeout.ms": int(self._timeout * 1000),
            }
        )
        self._thread = threading.Thread(target=self._poll, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait up to 2 s for records being written, then close."""
        if self._producer is not None:
            self._producer.flush(2)
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    async def submit(self, command: Command) -> Reply:
        """Execute a command and return its outcome once the views show it.

        Raises ``Refused``: the coordinator's refusal, 503 when the command could not be written, 504 when there was no
        reply in time (the command may still be executed).
        """
        loop = asyncio.get_running_loop()
        request_id = uuid.uuid4().hex
        reply: asyncio.Future[Reply] = loop.create_future()
        self._waiting[request_id] = reply
        try:
            async with asyncio.timeout(self._timeout):
                event = encode_event(msgspec.structs.replace(command, request_id=request_id))
                await self.publish(self._topic, command.detector_id, event)
                outcome = await reply
                await self.passed(outcome.offsets)
        except TimeoutError as error:
            reason = f"no outcome of {request_id} within {self._timeout:g} s: is a worker running?"
            raise Refused(504, reason, "timeout_exception") from error
        finally:
            self._waiting.pop(request_id, None)
        about = _about(command)
        if outcome.error is not None:
            kind, reason = outcome.error.get("type", "status_exception"), outcome.error.get("reason", "")
            # A preview cleans up without checking what there is to clean up.
            write = log.info if command.detector_id.startswith(HIDDEN) else log.warning
            write("command refused", **about, status=outcome.status, reason=reason)
            raise Refused(outcome.status, reason, kind)
        log.info("command executed", **about)
        return outcome

    async def passed(self, offsets: Mapping[str, int]) -> None:
        """Wait until the views include the records at these offsets; topics without a view are ignored."""
        missing = {
            topic: offset
            for topic, offset in offsets.items()
            if topic in VIEWED and self._applied.get(topic, -1) < offset
        }
        if missing:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append((missing, done))
            await done

    def replied(self, reply: Reply) -> None:
        """Handle a reply."""
        waiting = self._waiting.get(reply.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def applied(self, offsets: Mapping[str, int]) -> None:
        """Note that the views include all records up to these offsets, by topic."""
        self._applied.update(offsets)
        still = []
        for missing, done in self._watchers:
            if done.done():
                continue
            if all(self._applied.get(topic, -1) >= offset for topic, offset in missing.items()):
                done.set_result(None)
            else:
                still.append((missing, done))
        self._watchers = still

    async def publish(self, topic: str, key: str, value: bytes) -> None:
        """Write one record; returns once Kafka has it. Raises ``Refused`` (503) when it could not be written."""
        loop = asyncio.get_running_loop()
        if self._producer is None:
            raise unavailable("the API is starting")
        written: asyncio.Future[None] = loop.create_future()

        def delivered(error: Any, _message: Any) -> None:
            loop.call_soon_threadsafe(settle, error)

        def settle(error: Any) -> None:
            if written.done():
                return
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(unavailable(f"it could not be written to Kafka: {error.str()}"))

        try:
            self._producer.produce(topic, value, key=key.encode(), on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            raise unavailable(f"it could not be written to Kafka: {error}") from error
        await written

    def _poll(self) -> None:
        while not self._stop.is_set():
            if self._producer is not None:
                self._producer.poll(0.2)
