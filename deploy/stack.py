"""The whole of Riverwatch on one machine: Kafka, topics, workers and the API, as ``up`` and ``demo`` run it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from api.settings import Settings as ApiSettings
from deploy.broker import LocalBroker, port_is_free
from deploy.child import Child
from deploy.environment import overlay, read_settings
from deploy.errors import DeployError, PortTaken
from deploy.preparation import prepare_topics
from deploy.signals import ignore_stop_signals
from deploy.supervisor import LOOK_SECONDS, Service, Supervisor
from streams.settings import Settings as WorkerSettings

REMIND_SECONDS = 15.0


class Topics:
    """Applying the topics, as a step between the start of Kafka and that of those who need them."""

    name = "topics"

    def __init__(self, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._environment = environment
        self._say = say

    def start(self) -> None:
        """Apply them once Kafka answers."""
        prepare_topics(self._environment, self._say)

    def is_ready(self) -> bool:
        """Topics once applied stay."""
        return True

    def ended(self) -> str | None:
        """Topics do not die."""
        return None

    def stop(self) -> None:
        """There is nothing to stop."""


class Stack:
    """Runs all of it while the ``with`` block does; inside, everything is ready.

    ``environment`` holds the settings. Where it has ``RIVERWATCH_BROKERS`` that Kafka is used, else one is started
    on ``broker_port``, with its topics in ``RIVERWATCH_DATA``. ``say`` gets what there is to tell, ``hear`` the
    details: each change of a topic, each line of the workers and the API. Raises a ``DeployError`` when a part
    cannot start.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        workers: int,
        broker_port: int,
        say: Callable[[str], None],
        hear: Callable[[str], None],
    ) -> None:
        services: list[Service] = []
        if not environment.get("RIVERWATCH_BROKERS"):
            folder = Path(environment["RIVERWATCH_DATA"]) / "kafka"
            broker = LocalBroker(broker_port, folder, environment=environment, say=say)
            environment = overlay(environment, brokers=broker.bootstrap)
            services.append(broker)
        services.append(Topics(environment, hear))

        # The children find the topics there: they were applied once, above. A worker that fails ends, so that it
        # is the supervisor who reports it and starts it again.
        told = overlay(environment, apply_topics="false", restart="false")
        program = [sys.executable, "-m", "deploy.cli"]
        for number in range(1, workers + 1):
            services.append(Child(f"worker-{number}", [*program, "worker"], told, ready=r"worker \S+ ready", say=hear))
        services.append(Child("api", [*program, "api"], told, ready="api ready", say=hear))

        self._say = say
        self._services = services
        self._supervisor = Supervisor(services, say)
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
        """Restart what dies, for ever."""
        self._supervisor.watch(lambda: False)

    def look(self) -> None:
        """Restart what has died; to be called again and again by those who have more to do."""
        self._supervisor.look()

    def _wait_until_ready(self) -> None:
        reminded = time.monotonic()
        while not self._supervisor.all_ready():
            for service in self._services:
                # What dies before it was ever ready will die again: that is an error, not an accident.
                how = service.ended()
                if how is not None:
                    raise DeployError(f"{service.name} {how}")
            if time.monotonic() - reminded > REMIND_SECONDS:
                reminded = time.monotonic()
                waiting = [service.name for service in self._services if not service.is_ready()]
                self._say(f"still waiting for {', '.join(waiting)}")
            time.sleep(LOOK_SECONDS)

    def _stop(self) -> None:
        ignore_stop_signals()
        self._supervisor.stop()
