"""Live records for tests: what producers that keep the time write, and what must come of it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Producer

from tests import kafka
from tests.cluster import Cluster
from tests.deadlines import REQUEST, eventually

Windows = dict[tuple[str, int], float]
"""The mean of a host in the window with this end (epoch ms)."""


class LiveProducer:
    """Hosts with a value ten times a second each, from now on; what Kafka does not take is kept and sent again.

    ``ahead`` is how far each host's clock is ahead (ms), ``partitions`` where its records go if not by their key. What
    is made is sent at once, or every ``flush`` seconds together. ``properties`` are Kafka's, with underscores for dots.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        hosts: Collection[str] = "ab",
        *,
        interval_ms: int = 1000,
        ahead: Mapping[str, int] | None = None,
        flush: float = 0.0,
        partitions: Mapping[str, int] | None = None,
        **properties: object,
    ) -> None:
        self.interval_ms = interval_ms
        self.made: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._producer: Producer = kafka.producer(bootstrap, **properties)
        self._topic, self._hosts, self._ahead, self._flush = topic, hosts, ahead or {}, flush
        self._partitions = partitions or {}
        self._waiting: list[tuple[str, int, bytes]] = []
        self._stopping = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            number, flushed = 0, time.monotonic()
            while not self._stopping.wait(0.1):
                for host in self._hosts:
                    self._make(host, number)
                if time.monotonic() - flushed >= self._flush:
                    flushed = time.monotonic()
                    self._send()
                number += 1
            self._send()
        except BaseException as error:
            self._failed = error

    def _make(self, host: str, number: int) -> None:
        ahead = self._ahead.get(host, 0)
        now = int(time.time() * 1000) + ahead
        # A clock that is ahead stamps the record for Kafka, too; what is behind has been lying around.
        stamp = now if ahead > 0 else 0
        self._waiting.append((host, stamp, json.dumps({"time": now, "host": host, "value": number}).encode()))
        self.made[host, self.end_of(now)].append(number)

    def _send(self) -> None:
        for host, stamp, value in self._waiting:
            where = self._partitions.get(host, -1)
            self._producer.produce(self._topic, value, key=host, partition=where, timestamp=stamp)
        self._waiting.clear()
        self._producer.poll(0)

    def end_of(self, time_ms: int) -> int:
        """The end of the window that a time lies in."""
        return (time_ms // self.interval_ms + 1) * self.interval_ms

    def end_after(self, windows: int) -> int:
        """The end of the window after so many from now on."""
        return self.end_of(int(time.time() * 1000)) + windows * self.interval_ms

    def stop(self) -> dict[tuple[str, int], float]:
        """End, see everything arrive, and tell the windows that are whole: not the last one, nor the first three, in
        which the detector may have begun."""
        self._stopping.set()
        self._thread.join(REQUEST)
        assert self._failed is None, self._failed
        assert self._producer.flush(REQUEST) == 0
        ends = {host: sorted(end for other, end in self.made if other == host) for host in self._hosts}
        return {
            (host, end): sum(self.made[host, end]) / len(self.made[host, end])
            for host, of_host in ends.items()
            for end in of_host[3:-1]
        }


def windows(results: Mapping[str, Mapping[str, Any]]) -> Windows:
    """The first feature of each result."""
    return {
        (result["entity"][0]["value"], result["data_end_time"]): result["feature_data"][0]["data"]
        for result in results.values()
        if result["feature_data"]
    }


def until(cluster: Cluster, detector: str, wanted: Collection[tuple[str, int]]) -> Windows:
    """The results of a detector once all of these windows are among them."""
    found: Windows = {}

    def all_there(results: Mapping[str, Mapping[str, Any]]) -> bool:
        nonlocal found
        found = windows(results)
        return set(wanted) <= found.keys()

    try:
        cluster.results(detector, all_there)
    except AssertionError as error:
        missing = sorted(set(wanted) - found.keys(), key=lambda key: key[::-1])
        raise AssertionError(f"{len(missing)} of {len(wanted)} windows are missing: {missing[:20]}") from error
    return found


def passed(producer: LiveProducer, more: int) -> None:
    """Return when so many more windows have begun."""
    end = producer.end_after(more)
    eventually(f"{more} more windows", lambda: time.time() * 1000 > end)


def error_of(cluster: Cluster, detector: str, *words: str) -> str:
    """The error of a detector's latest real-time task, once it has these words."""

    def of(found: Sequence[Any]) -> str:
        text = ""
        for message in found:
            if message.value() is not None:
                document = json.loads(message.value())
                task = document["document"] if document["kind"] == "task" else {}
                if task.get("detector_id") == detector and task["task_type"].startswith("REALTIME"):
                    text = task.get("error") or ""
        return text

    return of(cluster.read("state", lambda found: all(word in of(found) for word in words)))


def dead_letters(cluster: Cluster, topic: str) -> list[tuple[str, str]]:
    """Reason and detail of each dead letter of a topic's records that is there now."""
    headers = [dict(message.headers() or []) for message in cluster.everything("deadletter")]
    return [
        (each["riverwatch.reason"].decode(), each["riverwatch.detail"].decode())
        for each in headers
        if each["riverwatch.topic"] == topic.encode()
    ]
