"""The producer of a simulated worker: ordered by partition, late at will, and not ended by the end of the worker."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from streams.kafka.outbox import Outbox as RealOutbox
from tests.simulation.log import Message, Record
from tests.simulation.loop import Loop
from tests.simulation.world import World


class _Pending:
    __slots__ = ("headers", "key", "number", "on_delivery", "sent", "value")

    def __init__(self, number: int, key: Any, value: bytes | None, headers: Any, on_delivery: Any) -> None:
        self.number = number
        self.key = key.encode() if isinstance(key, str) else key
        self.value = value
        self.headers = headers
        self.on_delivery = on_delivery
        self.sent = False
        """On the wire: it arrives whatever becomes of its worker."""


class Outbox(RealOutbox):
    """An outbox with a log in memory behind it. ``alive`` tells whether the process runs now."""

    def __init__(self, world: World, loop: Loop, alive: Callable[[], bool], slow: float) -> None:
        self._sim = world
        self._sim_loop = loop
        self._alive = alive
        self._slow = slow
        self._queues: defaultdict[tuple[str, int], deque[_Pending]] = defaultdict(deque)
        self._outstanding: set[int] = set()
        self._waiting: list[tuple[set[int], asyncio.Future[None]]] = []
        self._numbers = 0
        self._crashed = False

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | str | None = None,
        partition: int = -1,
        headers: Any = None,
        on_delivery: Any = None,
    ) -> None:
        if self._crashed:
            return
        if partition < 0:
            partition = self._sim.log.partition_for(topic, key)
        self._numbers += 1
        queue = self._queues[topic, partition]
        queue.append(_Pending(self._numbers, key, value, headers, on_delivery))
        self._outstanding.add(self._numbers)
        if len(queue) == 1:
            self._transmit_later(topic, partition)

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        self.produce(topic, value, **rest)

    async def barrier(self) -> None:
        if not self._outstanding and not self._crashed:
            return
        future = self._sim_loop.create_future()
        self._waiting.append((set(self._outstanding), future))
        await future

    # -- the wire ---------------------------------------------------------------------------------------------

    def _transmit_later(self, topic: str, partition: int) -> None:
        dice = self._sim.dice
        luck = dice.random()
        latency = dice.uniform(1, 5) if luck < 0.04 else dice.expovariate(1 / self._slow) if luck < 0.2 else 0.005
        self._sim.after(latency, lambda: self._transmit(topic, partition))

    def _transmit(self, topic: str, partition: int) -> None:
        queue = self._queues[topic, partition]
        if not queue:
            return
        if self._sim.log.away:
            self._sim.after(0.3, lambda: self._transmit(topic, partition))
            return
        running = self._alive()
        # A batch: what lies there now arrives together.
        while queue and (running or queue[0].sent):
            pending = queue.popleft()
            offset = self._sim.log.append(
                topic, partition, self._sim.now_ms, pending.key, pending.value, pending.headers
            )
            self._sim_loop.call_soon(self._arrived, topic, partition, pending, offset)
        if queue and not self._crashed:
            self._sim.after(0.5, lambda: self._transmit(topic, partition))

    def _arrived(self, topic: str, partition: int, pending: _Pending, offset: int) -> None:
        self._outstanding.discard(pending.number)
        if pending.on_delivery is not None:
            record = Record(offset, self._sim.now_ms, pending.key, pending.value)
            pending.on_delivery(Message(topic, partition, record))
        for wanted, future in self._waiting:
            wanted.discard(pending.number)
            if not wanted and not future.done():
                future.set_result(None)
        self._waiting = [(wanted, future) for wanted, future in self._waiting if wanted]

    def cut(self) -> None:
        """The process stands still: of what it has handed over, some is on the wire already."""
        for queue in self._queues.values():
            for pending in list(queue)[: self._sim.dice.randint(0, len(queue))]:
                pending.sent = True

    def crash(self) -> None:
        """The process is gone, and with it what is not on the wire."""
        self.cut()
        self._crashed = True
        for queue in self._queues.values():
            for pending in [pending for pending in queue if not pending.sent]:
                queue.remove(pending)
