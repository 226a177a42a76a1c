"""All of Riverwatch on one machine, as ``up`` and ``demo`` run it: Kafka, topics, workers and the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from api.settings import ApiSettings
from deploy.command_line.environment import overlay, read_settings
from deploy.errors import DeployError, PortTaken
from deploy.local_kafka.broker import LocalBroker, port_is_free
from deploy.supervision.child import Child
from deploy.supervision.signals import ignore_stop_signals
from deploy.supervision.supervisor import POLL_SECONDS, Service, Supervisor
from deploy.topics.preparation import prepare_topics
from streams.settings import Settings as WorkerSettings

REMIND_SECONDS = 15.0


class Topics:
    """Applies the topics between the start of Kafka and the start of the services that need them."""

    name = "topics"

    def __init__(self, environment: Mapping[str, str], report: Callable[[str], None]) -> None:
        self._environment = environment
        self._report = report

    def start(self) -> None:
        """Apply them once Kafka answers."""
        prepare_topics(self._environment, self._report)

    def is_ready(self) -> bool:
        """Always: applied topics stay."""
        return True

    def ended(self) -> str | None:
        """Never."""
        return None

    def stop(self) -> None:
        """Nothing to stop."""


class Stack:
    """Everything runs, and is ready, inside the ``with`` block.

    ``environment`` holds the settings. With ``RIVERWATCH_BROKERS`` that Kafka is used, else one is started on
    ``broker_port``, with its topics in ``RIVERWATCH_DATA``. ``report`` gets events (a restart, a long wait), ``detail``
    each change of a topic and each line of the workers and the API. Raises a ``DeployError`` when a part cannot start.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        workers: int,
        broker_port: int,
        report: Callable[[str], None],
        detail: Callable[[str], None],
    ) -> None:
        services: list[Service] = []
        if not environment.get("RIVERWATCH_BROKERS"):
            folder = Path(environment["RIVERWATCH_DATA"]) / "kafka"
            broker = LocalBroker(broker_port, folder, environment=environment, report=report)
            environment = overlay(environment, brokers=broker.bootstrap)
            services.append(broker)
        services.append(Topics(environment, detail))

        # The topics are applied once, above. A worker that fails exits, so that the supervisor reports and restarts it.
        inherited = overlay(environment, apply_topics="false", restart="false")
        program = [sys.executable, "-m", "deploy.cli"]
        for number in range(1, workers + 1):
            services.append(
                Child(f"worker-{number}", [*program, "worker"], inherited, ready=r"worker \S+ ready", report=detail)
            )
        services.append(Child("api", [*program, "api"], inherited, ready="api ready", report=detail))

        self._report = report
        self._services = services
        self._supervisor = Supervisor(services, report)
        self.settings = read_settings(WorkerSettings, environment)
        self._api = read_settings(ApiSettings, environment)
        self.api_url = f"{'https' if self._api.tls_certificate else 'http'}://{self._api.host}:{self._api.port}"

    def __enter__(self) -> Self:
        if not port_is_free(self._api.port):
            raise PortTaken(f"Port {self._api.port} for the API is taken. Choose another one with --api-port.")
        self._supervisor.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def watch(self) -> None:
        """Restart parts that die, for ever."""
        self._supervisor.watch(lambda: False)

    def restart_dead(self) -> None:
        """Restart parts that have died. Call it at short intervals, or use ``watch``."""
        self._supervisor.restart_dead()

    def _wait_until_ready(self) -> None:
        reminded = time.monotonic()
        while not self._supervisor.all_ready():
            for service in self._services:
                # What dies before it was ever ready would die again: an error, not an accident.
                how = service.ended()
                if how is not None:
                    raise DeployError(f"{service.name} {how}")
            if time.monotonic() - reminded > REMIND_SECONDS:
                reminded = time.monotonic()
                waiting = [service.name for service in self._services if not service.is_ready()]
                self._report(f"still waiting for {', '.join(waiting)}")
            time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        ignore_stop_signals()
        self._supervisor.stop()
