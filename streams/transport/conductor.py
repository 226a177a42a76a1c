"""Faust's conductor, which hands a message to the agent of its partition, without its holes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from faust.transport.conductor import Conductor

from streams.kafka.tp import TP

Deliver = Callable[[Any], Awaitable[None]]


async def _drop(message: Any) -> None:
    """A record of a partition that is no longer ours: whoever owns it reads it from its own position."""


class _Callbacks(dict[TP, Deliver]):
    """Faust looks a partition's agent up here, and its fetcher dies of a ``KeyError`` where there is none.

    That happens to a record that was fetched before a rebalance and arrives after it.
    """

    def __missing__(self, tp: TP) -> Deliver:
        return _drop


class ChunkConductor(Conductor):
    """Every assigned partition has its agent.

    Faust asks the topics *wanted now*, but an assignment may be the answer to an earlier wish: when a detector is
    stopped and started again at once, its topic is assigned while it is not wanted, and its records would arrive
    for nobody. So a partition of a topic that nobody wants goes to the agent that reads data topics, which passes
    over what no run needs.
    """

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.data_schema: Any = None
        self._tp_to_callback = _Callbacks()
        self.on_message = self._compile_message_handler()

    def _update_tp_index(self, assigned: set[TP]) -> None:
        super()._update_tp_index(assigned)
        for tp in assigned - {tp for tp, channels in self._tp_index.items() if channels}:
            self._tp_index[tp] = {channel for channel in self._topics if channel.schema is self.data_schema}
