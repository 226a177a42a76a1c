"""Keeps a set of services running: starts them in order, restarts what dies, stops them in reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from deploy.errors import DeployError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

# A service that lived this long had started well: its next death is a new trouble, not the same one again.
HEALTHY_SECONDS = 60.0
LOOK_SECONDS = 0.1


class Service(Protocol):
    """Something that runs beside this process."""

    name: str

    def start(self) -> None:
        """Start it. Raises ``DeployError`` when that is impossible."""

    def is_ready(self) -> bool:
        """Whether it does its work."""

    def ended(self) -> str | None:
        """How it ended; None while it runs."""

    def stop(self) -> None:
        """Stop it and wait for its end."""


def pause_before_restart(deaths: int) -> float:
    """Seconds to wait before a service that has died ``deaths`` times in a row is started again.

    >>> [pause_before_restart(deaths) for deaths in (1, 2, 3, 10)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (deaths - 1)))


class Supervisor:
    """Runs ``services``; the first is started first and stopped last."""

    def __init__(self, services: Sequence[Service], say: Callable[[str], None]) -> None:
        self._services = services
        self._say = say
        self._deaths = {service.name: 0 for service in services}
        self._started = {service.name: 0.0 for service in services}
        self._restart_at: dict[str, float] = {}

    def start(self) -> None:
        """Start all, one after the other. Raises the first ``DeployError``; what was started is then stopped."""
        try:
            for service in self._services:
                service.start()
                self._started[service.name] = time.monotonic()
        except BaseException:
            self.stop()
            raise

    def all_ready(self) -> bool:
        """Whether every service does its work."""
        return all(service.is_ready() for service in self._services)

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart what dies, until ``until()`` is true (asked about every 0.1 s)."""
        while not until():
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Report and restart what has died; to be called again and again."""
        now = time.monotonic()
        for service in self._services:
            self._look_after(service, now)

    def stop(self) -> None:
        """Stop all, the last started first."""
        for service in reversed(self._services):
            service.stop()

    def _look_after(self, service: Service, now: float) -> None:
        due = self._restart_at.get(service.name)
        if due is None:
            how = service.ended()
            if how is not None:
                if now - self._started[service.name] > HEALTHY_SECONDS:
                    self._deaths[service.name] = 0
                self._fallen(service, how, now)
        elif now >= due:
            del self._restart_at[service.name]
            try:
                service.start()
            except DeployError as error:
                self._fallen(service, f"cannot start: {error}", now)
            self._started[service.name] = now

    def _fallen(self, service: Service, how: str, now: float) -> None:
        self._deaths[service.name] += 1
        pause = pause_before_restart(self._deaths[service.name])
        self._restart_at[service.name] = now + pause
        self._say(f"{service.name} {how}; starting it again in {pause:g} s")
