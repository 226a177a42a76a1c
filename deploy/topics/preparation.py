"""What a worker and the API do first: wait for Kafka and apply the topics."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping

from deploy.command_line.environment import read_settings
from deploy.errors import KafkaUnreachable
from deploy.topics.apply import apply
from schemas.errors import RiverwatchError
from streams.settings import Settings

RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
"""How long Kafka may take to answer before the user reads that it does not."""


def prepare_topics(environment: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Apply the topics as soon as Kafka answers; do nothing when ``RIVERWATCH_APPLY_TOPICS`` is false.

    ``report`` gets a line for each change, and one when Kafka has to be waited for. Raises what
    ``deploy.topics.apply`` does, but never ``KafkaUnreachable``.
    """
    settings = read_settings(Settings, environment)
    if not settings.apply_topics:
        return
    waiting = False
    while True:
        try:
            changes = apply(
                settings.client(),
                prefix=settings.prefix,
                model_partitions=settings.model_partitions,
                replication=settings.replication,
                timeout=TIMEOUT_SECONDS,
            )
        except KafkaUnreachable as error:
            if not waiting:
                report(f"waiting for Kafka: {error}")
                waiting = True
            time.sleep(RETRY_SECONDS)
        else:
            for change in changes:
                report(str(change))
            return


class TopicsInBackground(threading.Thread):
    """``prepare_topics`` beside a server. When it fails it stops the process (SIGTERM)."""

    def __init__(self, environment: Mapping[str, str], report: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._environment = environment
        self._report = report
        self._error: RiverwatchError | None = None

    def run(self) -> None:
        """Prepare the topics (in this thread)."""
        try:
            prepare_topics(self._environment, self._report)
        except RiverwatchError as error:
            self._error = error
            os.kill(os.getpid(), signal.SIGTERM)

    def raise_error(self) -> None:
        """Raise the error that stopped the process, if there was one."""
        if self._error is not None:
            raise self._error
