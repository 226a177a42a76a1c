"""Kafka away for a while: the worker waits, says so, and goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.broker.records import points
from tests.cluster import Cluster
from tests.conftest import Broker
from tests.deadlines import EVENT
from tests.live import LiveProducer, until


def broker(port: int, folder: Path) -> LocalBroker:
    """A Kafka of the test's own, which it may stop."""
    return LocalBroker(port, folder, quick=True, heap="384m", patience=EVENT)


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


@pytest.mark.slow
def test_live_records_that_producers_held_back_in_an_outage_are_not_late(tmp_path: Path) -> None:
    port = free_port()
    with broker(port, tmp_path) as kafka:
        cluster = Cluster(kafka.bootstrap, "held.", tick_grace=5)
        cluster.__enter__()
        worker = cluster.start_worker()
        Broker(kafka.bootstrap).create_topic("metrics", 2)
        detector = cluster.create("metrics")
        cluster.start(detector)
        producer = LiveProducer(kafka.bootstrap, "metrics", enable_idempotence=True)
        cluster.results(detector, 10)
    try:
        time.sleep(20)
        with broker(port, tmp_path):
            back = int(time.time() * 1000)
            cluster.results(detector, lambda found: any(r["data_end_time"] > back + 5_000 for r in found.values()))
            wanted = producer.stop()

            found = until(cluster, detector, wanted)
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
