"""Keeping services running: they start in order, are restarted when they die, and stop in reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from deploy.errors import DeployError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

# A service that ran this long had started well: its next death is a new problem, and its first pause is short again.
HEALTHY_SECONDS = 60.0
POLL_SECONDS = 0.1


class Service(Protocol):
    """Something that is started, watched and stopped."""

    name: str

    def start(self) -> None:
        """Start it. Raises ``DeployError``."""

    def is_ready(self) -> bool:
        """Whether it is ready for use."""

    def ended(self) -> str | None:
        """How it ended; None while it is running."""

    def stop(self) -> None:
        """Stop it and wait for its end; do nothing when it is not running."""


def pause_before_restart(deaths: int) -> float:
    """Seconds to wait before a service that has died ``deaths`` times in a row is started again.

    >>> [pause_before_restart(deaths) for deaths in (1, 2, 3, 10)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (deaths - 1)))


class Supervisor:
    """Runs ``services``; the first one starts first and stops last. ``report`` gets a line for each death."""

    def __init__(self, services: Sequence[Service], report: Callable[[str], None]) -> None:
        self._services = services
        self._report = report
        self._deaths = {service.name: 0 for service in services}
        self._started = {service.name: 0.0 for service in services}
        self._restart_at: dict[str, float] = {}

    def start(self) -> None:
        """Start all, one after the other. Raises the first ``DeployError``, after stopping those that had started."""
        try:
            for service in self._services:
                service.start()
                self._started[service.name] = time.monotonic()
        except BaseException:
            self.stop()
            raise

    def all_ready(self) -> bool:
        """Whether every service is ready."""
        return all(service.is_ready() for service in self._services)

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart services that die, until ``until()`` is true (evaluated every 0.1 s)."""
        while not until():
            self.restart_dead()
            time.sleep(POLL_SECONDS)

    def restart_dead(self) -> None:
        """Report and restart services that have died. Call it at short intervals."""
        now = time.monotonic()
        for service in self._services:
            self._check(service, now)

    def stop(self) -> None:
        """Stop all, the last one first."""
        for service in reversed(self._services):
            service.stop()

    def _check(self, service: Service, now: float) -> None:
        due = self._restart_at.get(service.name)
        if due is None:
            how = service.ended()
            if how is not None:
                if now - self._started[service.name] > HEALTHY_SECONDS:
                    self._deaths[service.name] = 0
                self._schedule_restart(service, how, now)
        elif now >= due:
            del self._restart_at[service.name]
            try:
                service.start()
            except DeployError as error:
                self._schedule_restart(service, f"cannot start: {error}", now)
            self._started[service.name] = now

    def _schedule_restart(self, service: Service, how: str, now: float) -> None:
        self._deaths[service.name] += 1
        pause = pause_before_restart(self._deaths[service.name])
        self._restart_at[service.name] = now + pause
        self._report(f"{service.name} {how}; starting it again in {pause:g} s")
