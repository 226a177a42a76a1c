"""The consumer group: who owns which partition, and what is committed. Kafka's eager protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.kafka.tp import TP
from tests.simulation.world import World

SESSION = 4.0
"""Seconds after which a member that is silent is given up."""


class Member(Protocol):
    """A worker as the group sees it."""

    name: str

    def topics(self) -> frozenset[str]:
        """What it has subscribed to."""
        ...

    def responds(self) -> bool:
        """Whether it sends heartbeats."""
        ...


@dataclass
class _State:
    heard: float
    joined: asyncio.Future[Any] | None = None
    topics: frozenset[str] = frozenset()
    generation: int = -1
    owned: frozenset[TP] = field(default_factory=frozenset)


class Group:
    """Members, generations, committed offsets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._members: dict[Any, _State] = {}
        self.generation = 0
        self.committed: dict[TP, int] = {}
        self._rebalancing = False
        self._tick()

    def _tick(self) -> None:
        """Once a second: heartbeats, expiries, and the end of a rebalance for which all have joined."""
        now = self._world.now
        if not self._world.log.away:
            for member, state in list(self._members.items()):
                if member.responds():
                    state.heard = now
                elif now - state.heard > SESSION:
                    self._world.say(f"group gives up {member.name}")
                    self.leave(member)
            if self._rebalancing and self._members and all(state.joined for state in self._members.values()):
                self._complete()
        self._world.after(0.5, self._tick)

    def join(self, member: Any, future: asyncio.Future[Any]) -> None:
        """Ask for a part of the work; the future gets (generation, partitions) when all others have joined, too."""
        state = self._members.get(member)
        if state is None:
            state = self._members[member] = _State(self._world.now)
        state.joined = future
        state.topics = member.topics()
        state.heard = self._world.now
        self._rebalancing = True

    def leave(self, member: Any) -> None:
        """No longer a member. Who has asked for a part of the work is told so, by None."""
        state = self._members.pop(member, None)
        if state is not None:
            self._rebalancing = True
            if state.joined is not None and not state.joined.done():
                state.joined.set_result(None)

    def must_join(self, member: Any) -> bool:
        """Whether the member has to join (again): the group says so, or it wants to read more."""
        state = self._members.get(member)
        if state is None or not member.topics() <= state.topics:
            return True
        return self._rebalancing and state.joined is None

    def _complete(self) -> None:
        self.generation += 1
        self._rebalancing = False
        topics = sorted({topic for state in self._members.values() for topic in state.topics})
        members = sorted(self._members, key=lambda member: str(member.name))
        self._world.dice.shuffle(members)
        owned: dict[Any, set[TP]] = {member: set() for member in members}
        turn = 0
        for topic in topics:
            willing = [member for member in members if topic in self._members[member].topics]
            for partition in range(len(self._world.log.topics.get(topic, ()))):
                owned[willing[turn % len(willing)]].add(TP(topic, partition))
                turn += 1
        for member, state in self._members.items():
            state.generation, state.owned = self.generation, frozenset(owned[member])
            future, state.joined = state.joined, None
            assert future is not None
            if not future.done():
                future.set_result((self.generation, state.owned))
        shares = ", ".join(
            f"{member.name}: " + " ".join(f"{tp.topic.rpartition('.')[2]}/{tp.partition}" for tp in sorted(mine))
            for member, mine in owned.items()
        )
        self._world.say(f"generation {self.generation}  {shares}")

    def commit(self, member: Any, generation: int, offsets: Mapping[TP, int]) -> bool:
        """Commit; refused for those who were given up or belong to an earlier generation."""
        state = self._members.get(member)
        if self._world.log.away or state is None or state.generation != generation or generation != self.generation:
            return False
        self.committed.update(offsets)
        return True
