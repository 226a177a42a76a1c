"""What Faust and the transport are to a worker: assignments, whole fetches in order, commits of what is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from streams.kafka.outages import Outage, Outages
from streams.kafka.tp import TP
from streams.transport.app import Agent, RecordsMissed
from streams.transport.ledger import Ledger
from tests.simulation.group import Group
from tests.simulation.world import World


class App:
    """As ``streams.transport.app.App``: ``named`` agents read Riverwatch's own topics, ``data`` the rest.

    A fetch may lie in a queue for a while: then a worker that stood still goes on with it, and one that lost the
    partition drops it, as ``streams.transport.app`` does by the generation.
    """

    def __init__(
        self,
        world: World,
        group: Group,
        member: Any,
        ledger: Ledger,
        *,
        data: Agent,
        named: Mapping[str, Agent],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._world = world
        self._group = group
        self._member = member
        self._ledger = ledger
        self._data = data
        self._named = named
        self._failed = failed
        self.generation = -1
        self._owned: list[TP] = []
        self._outages = Outages()
        self._positions: dict[TP, int] = {}
        self._follows: dict[TP, int] = {}
        self._answers: dict[TP, tuple[float, int]] = {}
        self._queues: dict[int, asyncio.Queue[Any]] = {id(agent): asyncio.Queue() for agent in (data, *named.values())}
        self._settled = asyncio.Event()
        self._rebalancing = True

    def tasks(self) -> list[asyncio.Task[None]]:
        """Everything that goes on here."""
        agents = (self._data, *self._named.values())
        loops = [self._membership(), self._fetching(), self._committing(), *map(self._handing_over, agents)]
        return [asyncio.create_task(self._guarded(loop)) for loop in loops]

    async def _guarded(self, loop: Any) -> None:
        try:
            await loop
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._failed(error)

    # -- membership -------------------------------------------------------------------------------------------

    async def _membership(self) -> None:
        loop, dice = asyncio.get_running_loop(), self._world.dice
        while True:
            await asyncio.sleep(dice.uniform(0.3, 1.0))
            if self._world.log.away or not self._group.must_join(self._member):
                continue
            self._rebalancing = True
            future = loop.create_future()
            self._group.join(self._member, future)
            assigned = await future
            if assigned is None:
                continue
            generation, owned = assigned
            missed, self.generation = generation not in (self.generation, self.generation + 1), generation
            if missed:
                # As ``App._drop_what_was_lost``.
                for agent in (*self._named.values(), self._data):
                    await agent.assigned({})
            self._owned = sorted(owned)
            self._settled.clear()
            await asyncio.sleep(dice.choice([0.0, 0.05, 0.5]))
            committed = {tp: self._group.committed.get(tp) for tp in self._owned}
            starts: dict[TP, int] = {}
            for name, agent in self._named.items():
                starts.update(await agent.assigned({tp: at for tp, at in committed.items() if tp.topic == name}))
            rest = {tp: at for tp, at in committed.items() if tp.topic not in self._named}
            starts.update(await self._data.assigned(rest))
            begin = {tp: self._world.log.topics[tp.topic][tp.partition].low for tp in self._owned}
            self._positions = {**begin, **{tp: at for tp, at in committed.items() if at is not None}, **starts}
            self._follows = dict(self._positions)
            self._answers = {}
            self._settled.set()
            self._rebalancing = False

    # -- records ----------------------------------------------------------------------------------------------

    def _agent(self, tp: TP) -> Agent:
        return self._named.get(tp.topic, self._data)

    async def _fetching(self) -> None:
        dice, time = self._world.dice, asyncio.get_running_loop().time
        while True:
            if self._rebalancing:
                self._outages.withdrawn(self._owned, time())
            else:
                self._outages.asked(self._owned, time())
            await asyncio.sleep(dice.uniform(0.1, 0.6))
            if self._rebalancing or self._world.log.away:
                continue
            for tp in dice.sample(self._owned, len(self._owned)):
                self._fetch(tp)

    def _fetch(self, tp: TP) -> None:
        partition = self._world.log.topics[tp.topic][tp.partition]
        queue = self._queues[id(self._agent(tp))]
        if queue.qsize() > 4:
            return
        records = partition.since(self._positions[tp], self._world.dice.choice([1, 3, 20, 200]))
        if records:
            queue.put_nowait((self.generation, tp, records, self._follows[tp]))
            self._follows[tp] = self._positions[tp] = records[-1].offset + 1
        if not records or not partition.since(self._positions[tp], 1):
            self._positions[tp] = partition.end
        self._answers[tp] = (asyncio.get_running_loop().time(), partition.end)
        self._outages.answered(tp, asyncio.get_running_loop().time())

    async def _handing_over(self, agent: Agent) -> None:
        queue = self._queues[id(agent)]
        while True:
            generation, tp, records, follows = await queue.get()
            await asyncio.sleep(self._world.dice.choice([0.0, 0.0, 0.01, 0.2]))
            await self._settled.wait()
            if generation != self.generation:
                continue
            position = agent.position(tp)
            if position is not None and follows > position:
                raise RecordsMissed(f"{tp} is read from {follows} on, expected was {position}")
            await agent.records_arrived(tp, records)

    # -- what the transport knows -----------------------------------------------------------------------------

    def at_end(self, tp: TP, offset: int) -> float | None:
        """When Kafka last confirmed that nothing follows ``offset``."""
        answer, follows = self._answers.get(tp), self._follows.get(tp)
        if self._rebalancing or answer is None or follows is None or offset < follows:
            return None
        return answer[0] if self._positions[tp] >= answer[1] else None

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage, as far as this partition was asked for."""
        return self._outages.latest.get(tp)

    async def _committing(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.commit()

    def commit(self) -> None:
        """Commit what the ledger calls safe."""
        offsets = {
            tp: at for tp in sorted(self._ledger.partitions()) if tp in self._owned and (at := self._ledger.safe(tp))
        }
        self._group.commit(self._member, self.generation, offsets)
