"""Kafka away for a while: the worker waits, says so, and goes on where it was."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from deploy.broker import LocalBroker, free_port
from tests.broker.test_life import points
from tests.cluster import Cluster
from tests.conftest import Broker
from tests.deadlines import REQUEST


def broker(port: int, folder: Path) -> LocalBroker:
    """A Kafka of the test's own, which it may stop."""
    return LocalBroker(port, folder, quick=True, heap="384m")


def test_a_worker_outlives_an_outage_of_kafka_and_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    with broker(port, tmp_path) as kafka:
        cluster = Cluster(kafka.bootstrap, "outage.")
        cluster.__enter__()
        worker = cluster.start_worker()
        Broker(kafka.bootstrap).create_topic("metrics", 2)
        detector = cluster.create("metrics")
        cluster.start(detector)
        cluster.produce("metrics", points(range(5)))
        assert len(cluster.results(detector, 5)) == 5
    try:
        with broker(port, tmp_path):
            cluster.produce("metrics", points(range(5, 10)))
            assert len(cluster.results(detector, 10)) == 10
            assert worker.alive()
            assert worker.stop() == 0
    finally:
        cluster.__exit__(None, None, None)


class LiveProducer:
    """Two hosts with a value ten times a second, which is kept and sent again while Kafka is away."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all"}, logger=None)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.made: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.1):
            now = int(time.time() * 1000)
            for host in "ab":
                value = {"time": now, "host": host, "value": number}
                self._producer.produce("metrics", json.dumps(value).encode(), key=host)
                self.made[host, (now // 1000 + 1) * 1000].append(number)
            self._producer.poll(0)
            number += 1

    def stop(self) -> dict[tuple[str, int], float]:
        """The mean of each host and window that is whole."""
        self._stopping.set()
        self._thread.join()
        assert self._producer.flush(REQUEST) == 0
        ends = sorted({end for _, end in self.made})
        return {key: sum(made) / len(made) for key, made in self.made.items() if ends[3] < key[1] < ends[-1]}


@pytest.mark.slow
def test_live_records_that_producers_held_back_in_an_outage_are_not_late(tmp_path: Path) -> None:
    port = free_port()
    with broker(port, tmp_path) as kafka:
        cluster = Cluster(kafka.bootstrap, "held.")
        cluster.__enter__()
        worker = cluster.start_worker()
        Broker(kafka.bootstrap).create_topic("metrics", 2)
        detector = cluster.create("metrics")
        cluster.start(detector)
        producer = LiveProducer(kafka.bootstrap)
        cluster.results(detector, 10)
    try:
        time.sleep(20)
        with broker(port, tmp_path):
            back = int(time.time() * 1000)
            cluster.results(detector, lambda found: any(r["data_end_time"] > back + 5_000 for r in found.values()))
            wanted = producer.stop()

            def of(found: dict[str, dict[str, Any]]) -> dict[tuple[str, int], float]:
                return {
                    (result["entity"][0]["value"], result["data_end_time"]): result["feature_data"][0]["data"]
                    for result in found.values()
                }

            found = of(cluster.results(detector, lambda found: wanted.keys() <= of(found).keys()))
            assert {key: found[key] for key in wanted} == pytest.approx(wanted)
            assert worker.stop() == 0
    finally:
        cluster.__exit__(None, None, None)


def test_a_worker_stops_also_while_kafka_is_away(tmp_path: Path) -> None:
    with broker(free_port(), tmp_path) as kafka:
        cluster = Cluster(kafka.bootstrap, "away.")
        cluster.__enter__()
        worker = cluster.start_worker()
    try:
        worker.wait_for("ERROR")  # it has noticed
        assert worker.stop() == 0
    finally:
        cluster.__exit__(None, None, None)


def test_a_worker_that_starts_before_kafka_waits_for_it(tmp_path: Path) -> None:
    port = free_port()
    cluster = Cluster(f"127.0.0.1:{port}", "early.")
    worker = cluster.start_worker(wait=False)
    worker.wait_for("does not answer")
    with broker(port, tmp_path), cluster:
        worker.wait_until_ready()
        assert worker.stop() == 0
