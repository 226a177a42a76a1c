"""Raw JSON records in Kafka -> every result in the results topic: records/s of one worker, beside its peers.

    python -m tests.bench.throughput [--records N] [--peers faust,bytewax,quix]

The peers do less: they decode, keep one-minute sums in a dict and emit each window's average, without any scoring.
Each reads the same topic (4 partitions) of the same local Kafka, one after the other, on the same two cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.measure import cpu_seconds
from tests.cluster import Cluster

ENTITIES = 1_000
START = 1_700_000_000_000 // 60_000 * 60_000
PARTITIONS = 4
QUIX = Path(sys.executable).parents[1] / "quix" / "bin" / "python"
"""Quix Streams wants another confluent-kafka than Riverwatch: ``make bench`` gives it an environment of its own."""


def fill(bootstrap: str, topic: str, records: int) -> int:
    """Produce the records, keyed by host, one a second and host in event time. Returns the number of windows."""
    create(bootstrap, topic)
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20})
    dice = random.Random(7)
    for number in range(records):
        host = f"host-{number % ENTITIES}"
        document = {
            "timestamp": START + number // ENTITIES * 1000,
            "host": host,
            "region": "eu-west-1",
            "service": "checkout",
            "cpu": round(dice.gauss(50, 5), 4),
            "memory": round(dice.random(), 4),
            "status": "ok",
            "unit": "percent",
        }
        send(producer, topic, json.dumps(document).encode(), host)
    # More than a minute of records far ahead on each partition closes every window before them.
    for partition, number in itertools.product(range(PARTITIONS), range(5)):
        end = {"timestamp": START + 10**9 + 40_000 * number, "host": "end", "cpu": 0}
        producer.produce(topic, json.dumps(end).encode(), key="end", partition=partition)
    producer.flush()
    return records // ENTITIES // 60 * ENTITIES


def create(bootstrap: str, topic: str) -> None:
    """A new topic that keeps records with old timestamps, too: Quix Streams gives results that of their window."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config={"retention.ms": "-1"})])[topic].result()


def send(producer: Producer, topic: str, value: bytes, key: str) -> None:
    """Produce one record, waiting for room."""
    while True:
        try:
            producer.produce(topic, value, key=key)
        except BufferError:
            producer.poll(0.05)
        else:
            producer.poll(0)
            return


def count(bootstrap: str, topic: str) -> int:
    """Records in a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "count"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        marks = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10) for number in partitions]
        return sum(high - low for low, high in marks)
    finally:
        consumer.close()


def until(bootstrap: str, topic: str, wanted: int, process: subprocess.Popen[bytes] | None = None) -> float:
    """Wait for that many records; returns the wall clock of the moment."""
    while (there := count(bootstrap, topic)) < wanted:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"peer ended with {process.returncode} after {there} of {wanted} results")
        time.sleep(0.05)
    return time.perf_counter()


def riverwatch(bootstrap: str, topic: str, wanted: int) -> tuple[float, float]:
    """Seconds from the start of the detector to its last result, and the CPU seconds of the worker in them."""
    with Cluster(bootstrap, "bench.", model_partitions=4) as cluster:
        worker = cluster.start_worker()
        detector = cluster.create(
            topic,
            time_field="timestamp",
            detection_interval={"period": {"interval": 1, "unit": "Minutes"}},
            feature_attributes=[{"feature_name": "cpu", "aggregation_query": {"cpu": {"avg": {"field": "cpu"}}}}],
        )
        begun, cpu = time.perf_counter(), cpu_seconds(worker.pid)
        cluster.start(detector, **{"from": "earliest"})
        ended, used = until(bootstrap, "bench.results", wanted), cpu_seconds(worker.pid) - cpu
        worker.stop()
        return ended - begun, used


def peer(name: str, bootstrap: str, topic: str, wanted: int) -> float:
    """Seconds from the peer's first record to its last result; its start-up is left out."""
    out = f"{topic}-{name}"
    create(bootstrap, out)
    python = QUIX if name == "quix" else Path(sys.executable)
    process = subprocess.Popen(
        [python, "-m", f"tests.bench.peers.{name}", bootstrap, topic, out],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        while b"first record" not in (line := process.stdout.readline()):
            if not line:
                raise RuntimeError(f"{name} ended before its first record")
        begun = time.perf_counter()
        return until(bootstrap, out, wanted, process) - begun
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=6_000_000)
    parser.add_argument("--peer-records", type=int, default=600_000)
    parser.add_argument("--peers", default="faust,bytewax,quix")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalBroker(free_port(), Path(folder), heap="1g") as broker:
        windows = fill(broker.bootstrap, "metrics", arguments.records)
        seconds, cpu = riverwatch(broker.bootstrap, "metrics", windows)
        ours = arguments.records / seconds
        print(
            f"{'riverwatch':12} {arguments.records:>10,} records {windows:>9,} results {seconds:7.2f} s {ours:>9,.0f}/s"
            f"   ({arguments.records / cpu:,.0f} for each CPU second of the worker)"
        )
        names = [name for name in arguments.peers.split(",") if name]
        if names:
            few = fill(broker.bootstrap, "fewer", arguments.peer_records)
        for name in names:
            seconds = peer(name, broker.bootstrap, "fewer", few)
            rate = arguments.peer_records / seconds
            print(
                f"{name:12} {arguments.peer_records:>10,} records {few:>9,} results {seconds:7.2f} s"
                f" {rate:>9,.0f}/s   riverwatch is {ours / rate:.1f} times as fast"
            )


if __name__ == "__main__":
    main()
