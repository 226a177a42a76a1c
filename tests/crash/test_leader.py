"""Three brokers with three replicas of everything, each of them killed once: live records lose nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local_kafka.broker import HOST, LocalBroker, free_port, new_cluster_id
from tests import kafka
from tests.cluster import Cluster
from tests.conftest import Broker
from tests.deadlines import EVENT, REQUEST, SLOW_TEST, eventually
from tests.live import LiveProducer, passed, until

REPLICATED = {
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
}

DELAY = {"period": {"interval": 60, "unit": "Seconds"}}
"""Until Kafka gives a dead replica up, it shows nobody what it has taken: 9 s, and more on a busy machine."""


@contextmanager
def three_brokers(folder: Path) -> Iterator[list[LocalBroker]]:
    """One cluster."""
    ports, controllers = [free_port() for _ in range(3)], [free_port() for _ in range(3)]
    voters = ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(controllers, 1))
    cluster_id = new_cluster_id()
    brokers = [
        LocalBroker(
            port,
            folder / f"broker-{number}",
            quick=True,
            heap="384m",
            patience=EVENT,
            cluster_id=cluster_id,
            properties={
                **REPLICATED,
                "node.id": number,
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            },
        )
        for number, (port, controller) in enumerate(zip(ports, controllers, strict=True), 1)
    ]
    try:
        # A single one of them has no quorum, and does not answer.
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(LocalBroker.start, brokers))
        yield brokers
    finally:
        for broker in brokers:
            broker.kill()


def leaders(bootstrap: str, topic: str) -> list[int]:
    """The broker that leads each partition, once all three replicas of each are in sync; else none."""
    found = kafka.admin(bootstrap).list_topics(topic, timeout=REQUEST).topics[topic].partitions
    in_sync = all(len(partition.isrs) == 3 for partition in found.values())
    return [found[number].leader for number in sorted(found)] if found and in_sync else []


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_killed_leaders_lose_and_change_no_live_record(tmp_path: Path) -> None:
    with three_brokers(tmp_path) as brokers:
        bootstrap = ",".join(broker.bootstrap for broker in brokers)
        settings = {"replication": 3, "tick_grace": 5, "outage_grace": 60, "idle_timeout": 100_000}
        with Cluster(bootstrap, "leader.", **settings) as cluster:
            Broker(bootstrap).create_topic("metrics", 3, replication=3)
            workers = [cluster.start_worker(), cluster.start_worker()]
            detector = cluster.create("metrics", window_delay=DELAY)
            cluster.start(detector)
            producer = LiveProducer(bootstrap, "metrics", "abcdef", enable_idempotence=True)
            passed(producer, 5)
            killed: set[int] = set()
            for _ in brokers:
                led = eventually("all replicas are in sync", lambda: leaders(bootstrap, "metrics"), every=0.5)
                number = next((leader for leader in led if leader not in killed), None)
                number = min({1, 2, 3} - killed) if number is None else number
                killed.add(number)
                brokers[number - 1].kill()
                passed(producer, 15)
                brokers[number - 1].start()
            passed(producer, 10)
            wanted = producer.stop()
            found = until(cluster, detector, wanted)
            assert {key: found[key] for key in wanted} == pytest.approx(wanted)
            assert killed == {1, 2, 3}
            for worker in workers:
                assert worker.stop() == 0
