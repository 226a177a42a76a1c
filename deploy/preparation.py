"""What a worker and the API do before their work: wait for Kafka and see to the topics."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping

from deploy.environment import read_settings
from deploy.errors import KafkaUnreachable
from deploy.topics import apply
from schemas.errors import RiverwatchError
from streams.settings import Settings

RETRY_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""So soon the user is told that Kafka does not answer."""


def prepare_topics(environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Apply the topics, as soon as Kafka answers; nothing when ``RIVERWATCH_APPLY_TOPICS`` is false.

    Says once that it waits. Raises what ``deploy.topics.apply`` does, but never ``KafkaUnreachable``.
    """
    settings = read_settings(Settings, environment)
    if not settings.apply_topics:
        return
    told = False
    while True:
        try:
            changes = apply(
                settings.client(),
                prefix=settings.prefix,
                model_partitions=settings.model_partitions,
                replication=settings.replication,
                patience=ANSWER_SECONDS,
            )
        except KafkaUnreachable as error:
            if not told:
                say(f"waiting for Kafka: {error}")
                told = True
            time.sleep(RETRY_SECONDS)
        else:
            for change in changes:
                say(str(change))
            return


class TopicsInBackground(threading.Thread):
    """``prepare_topics`` beside a server; when it fails, the process is asked to stop (SIGTERM)."""

    def __init__(self, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._environment = environment
        self._say = say
        self._error: RiverwatchError | None = None

    def run(self) -> None:
        """The thread's work."""
        try:
            prepare_topics(self._environment, self._say)
        except RiverwatchError as error:
            self._error = error
            os.kill(os.getpid(), signal.SIGTERM)

    def raise_error(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._error is not None:
            raise self._error
