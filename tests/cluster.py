"""A whole Riverwatch for a test: topics under a prefix of its own, workers as processes, commands as events."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, Message, TopicPartition

from deploy.topics.apply import apply
from tests import kafka
from tests.deadlines import EVENT, REQUEST
from tests.processes import bound

PARTITIONS = 4
"""Model partitions: fewer than the default, so that small tests have several entities in one."""


class WorkerProcess:
    """``riverwatch worker`` as a process; what it prints is in ``lines``.

    ``clock`` is how many seconds its wall clock is ahead.
    """

    def __init__(self, environment: dict[str, str], clock: float = 0.0) -> None:
        program = ["-m", "deploy.cli"] if clock == 0 else ["-m", "tests.wrong_clock", clock]
        self._process = subprocess.Popen(
            bound([sys.executable, *program, "worker", "--no-apply-topics"]),
            env={**os.environ, **environment},
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if line.rstrip().endswith("ready"):
                self._ready.set()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = EVENT) -> None:
        """Return when it has said that it is ready; fails when it has not."""
        deadline = time.monotonic() + seconds
        while not self._ready.wait(0.1):
            assert self._process.poll() is None, "\n".join(self.lines[-40:])
            assert time.monotonic() < deadline, "\n".join(self.lines[-40:])

    def wait_for(self, *words: str, seconds: float = EVENT) -> None:
        """Return when it has printed a line with all these words; fails when it has not."""
        deadline = time.monotonic() + seconds
        while not any(all(word in line for word in words) for line in list(self.lines)):
            assert time.monotonic() < deadline, "\n".join(self.lines[-40:])
            time.sleep(0.002)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """``kill -9``."""
        self._process.kill()
        self._process.wait(REQUEST)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(REQUEST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


class ApiProcess:
    """``riverwatch api`` as a process on a free port; ``url`` is where it listens, ``lines`` what it says."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            bound([sys.executable, "-m", "deploy.cli", "api", "--no-apply-topics", "--port", "0"]),
            env={**os.environ, **environment},
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.url = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("api ready on "):
                self.url = line.split()[-1]
                break
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(REQUEST)


class Cluster:
    """Topics of its own on a Kafka, and workers. Used as a context manager; settings as in ``RIVERWATCH_*``."""

    _numbers = itertools.count()

    def __init__(self, bootstrap: str, prefix: str, **settings: object) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.environment = {
            "RIVERWATCH_BROKERS": bootstrap,
            "RIVERWATCH_PREFIX": prefix,
            "RIVERWATCH_MODEL_PARTITIONS": str(PARTITIONS),
            "RIVERWATCH_REPLICATION": "1",
            "RIVERWATCH_SESSION_TIMEOUT": "6",
            "RIVERWATCH_IDLE_TIMEOUT": "3",
            "RIVERWATCH_START_TIMEOUT": "1",
            "RIVERWATCH_TOPIC_REFRESH_INTERVAL": "1",
            **{f"RIVERWATCH_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.workers: list[WorkerProcess] = []
        self.apis: list[ApiProcess] = []
        self._producer = kafka.producer(bootstrap)

    def __enter__(self) -> Self:
        client = {"bootstrap.servers": self.bootstrap}
        partitions = int(self.environment["RIVERWATCH_MODEL_PARTITIONS"])
        replication = int(self.environment["RIVERWATCH_REPLICATION"])
        apply(client, prefix=self.prefix, model_partitions=partitions, replication=replication)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.alive():
                worker.kill()
        for api in self.apis:
            api.stop()
        if error is not None:
            for worker in self.workers:
                error.add_note("\n".join(worker.lines[-60:]))

    def start_worker(self, *, wait: bool = True, clock: float = 0.0) -> WorkerProcess:
        """One more worker; ``clock`` is how many seconds its wall clock is ahead."""
        worker = WorkerProcess(self.environment, clock)
        self.workers.append(worker)
        if wait:
            worker.wait_until_ready()
        return worker

    def start_api(self, data: Path, **settings: object) -> ApiProcess:
        """An API with a folder of its own; it may still answer 503."""
        given = {f"RIVERWATCH_{name.upper()}": str(value) for name, value in settings.items()}
        api = ApiProcess({**self.environment, "RIVERWATCH_DATA": str(data), **given})
        self.apis.append(api)
        assert api.url, "\n".join(api.lines)
        return api

    # -- records ----------------------------------------------------------------------------------------------

    def produce(self, topic: str, values: Iterable[bytes | dict[str, Any]], *, partition: int = -1) -> None:
        """Write records and wait until they have arrived; a document's ``host`` is its key."""
        for value in values:
            key = value.get("host") if isinstance(value, dict) else None
            data = json.dumps(value).encode() if isinstance(value, dict) else value
            while True:
                try:
                    self._producer.produce(topic, data, key=key if isinstance(key, str) else None, partition=partition)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        assert self._producer.flush(REQUEST) == 0

    def read(self, name: str, enough: Callable[[list[Message]], bool], seconds: float = EVENT) -> list[Message]:
        """Records of one of Riverwatch's topics from its beginning, until ``enough`` have come."""
        topic = self.prefix + name
        consumer = kafka.consumer(self.bootstrap)
        try:
            count = len(consumer.list_topics(topic, timeout=REQUEST).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, number, 0) for number in range(count)])
            messages: list[Message] = []
            deadline = time.monotonic() + seconds
            while not enough(messages):
                assert time.monotonic() < deadline, f"only {len(messages)} records in {topic}"
                messages += [message for message in consumer.consume(10_000, 0.1) if message.error() is None]
            return messages
        finally:
            consumer.close()

    def everything(self, name: str) -> list[Message]:
        """All records that one of Riverwatch's topics has now."""
        topic = self.prefix + name
        consumer = kafka.consumer(self.bootstrap, enable_partition_eof=True)
        try:
            numbers = list(consumer.list_topics(topic, timeout=REQUEST).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
            messages: list[Message] = []
            read: set[int] = set()
            deadline = time.monotonic() + EVENT
            while len(read) < len(numbers):
                assert time.monotonic() < deadline, f"only {len(messages)} records in {topic}"
                for message in consumer.consume(10_000, 0.1):
                    if message.error() is None:
                        messages.append(message)
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        read.add(message.partition())
            return messages
        finally:
            consumer.close()

    # -- detectors --------------------------------------------------------------------------------------------

    def command(self, kind: str, detector_id: str, **members: Any) -> dict[str, Any]:
        """Send a command to the control topic; its reply."""
        request = uuid.uuid4().hex
        event = {"type": kind, "detector_id": detector_id, "request_id": request, **members}
        self.produce(self.prefix + "control", [event])
        found = self.read("replies", lambda messages: any(message.key() == request.encode() for message in messages))
        reply: dict[str, Any] = next(json.loads(m.value()) for m in found if m.key() == request.encode())
        return reply

    def create(self, topic: str, *, detector_id: str = "", **members: Any) -> str:
        """Create a detector of the average of ``value`` by ``host`` over seconds; ``members`` change that."""
        detector_id = detector_id or f"detector-{next(self._numbers)}"
        reply = self.command("detector.put", detector_id, detector=document(detector_id, topic, **members))
        assert reply["error"] is None, reply
        return detector_id

    def start(self, detector_id: str, **members: Any) -> None:
        """Start real-time detection."""
        reply = self.command("job.start", detector_id, **members)
        assert reply["error"] is None, reply

    def results(
        self,
        detector_id: str,
        enough: Callable[[dict[str, dict[str, Any]]], bool] | int = 1,
        seconds: float = EVENT,
    ) -> dict[str, dict[str, Any]]:
        """The detector's results by id (the last record of an id counts), when there are enough."""
        wanted = enough if callable(enough) else (lambda found: len(found) >= enough)
        found: dict[str, dict[str, Any]] = {}
        seen = 0

        def fold(messages: list[Message]) -> bool:
            nonlocal seen
            for message in messages[seen:]:
                result = json.loads(message.value())
                if result["detector_id"] == detector_id:
                    found[result["id"]] = result
            seen = len(messages)
            return wanted(found)

        self.read("results", fold, seconds)
        return found


def document(name: str, topic: str, **members: Any) -> dict[str, Any]:
    """A detector document."""
    return {
        "name": name,
        "time_field": "time",
        "indices": [topic],
        "category_field": ["host"],
        "detection_interval": {"period": {"interval": 1, "unit": "Seconds"}},
        "feature_attributes": [
            {
                "feature_name": "mean",
                "feature_enabled": True,
                "aggregation_query": {"mean": {"avg": {"field": "value"}}},
            }
        ],
        **members,
    }


WALL_CLOCK = {"execution_start_time", "execution_end_time"}
"""The members of a result that tell when it was computed: all others a replay reproduces."""


def without_wall_clock(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Results to compare: ids and values."""
    return {
        key: {name: value for name, value in result.items() if name not in WALL_CLOCK}
        for key, result in results.items()
    }


@contextlib.contextmanager
def flowing(produce: Callable[[], None]) -> Iterator[threading.Thread]:
    """A producer in a thread; joined at the end."""
    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    yield thread
    thread.join(EVENT)
    assert not thread.is_alive()
