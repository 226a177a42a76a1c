"""An event loop on simulated time: the code of a worker runs on it unchanged, step by step, as the scheduler says."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

from tests.simulation.log import Away


class _Handle:
    """A callback that is still to run."""

    __slots__ = ("_arguments", "_callback", "_context", "_when", "dead")

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...], context: Any, when: float) -> None:
        self._callback = callback
        self._arguments = arguments
        self._context = context or contextvars.copy_context()
        self._when = when
        self.dead = False

    def cancel(self) -> None:
        self.dead = True

    def cancelled(self) -> bool:
        return self.dead

    def when(self) -> float:
        return self._when

    def run(self) -> None:
        self._context.run(self._callback, *self._arguments)


class Loop:
    """The loop of one worker, as far as tasks, futures and timeouts need one.

    It runs only within ``run``: what never gets its turn just stays where it is.

    ``clock`` gives the simulated time in seconds. Functions given to threads run at once, as if by a quick one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._numbers = itertools.count()
        self.failures: list[BaseException] = []

    def time(self) -> float:
        return self._clock()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, context, 0.0)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self._clock() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast(Any, self))

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: Any = None, context: Any = None) -> Any:
        return asyncio.Task(coro, loop=cast(Any, self), name=name)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        self._in_thread(future, func, args)
        return future

    def _in_thread(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.done():
            return
        try:
            result = func(*args)
        except Away:
            # As a client does, which tries again and again.
            self.call_later(0.5, self._in_thread, future, func, args)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failures.append(error if error is not None else RuntimeError(context["message"]))

    # -- for the scheduler ------------------------------------------------------------------------------------

    def next_at(self) -> float | None:
        """When there is something to do: now, at a later time, or never."""
        if self._ready:
            return self._clock()
        while self._timers and self._timers[0][2].dead:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run(self) -> None:
        """Do all that is due now."""
        now = self._clock()
        asyncio._set_running_loop(cast(Any, self))
        try:
            while True:
                while self._timers and self._timers[0][0] <= now:
                    handle = heapq.heappop(self._timers)[2]
                    if not handle.dead:
                        self._ready.append(handle)
                if not self._ready:
                    return
                while self._ready:
                    handle = self._ready.popleft()
                    if not handle.dead:
                        handle.run()
        finally:
            asyncio._set_running_loop(None)
