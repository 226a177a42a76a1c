"""Live records: time from a window's end to its results at a consumer, CPU and memory, for many entities.

    python -m tests.bench.live                                   # 1,000 entities, windows of 1 s
    python -m tests.bench.live --entities 100000 --interval 60   # 100,000 entities, windows of one minute

The producer sends one record an entity and interval, evenly spread, on the same two cores as Kafka and the worker.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.measure import cpu_seconds, resident_bytes
from tests.bench.throughput import create, send
from tests.cluster import PARTITIONS, Cluster


def produce(bootstrap: str, entities: int, interval: float, stopping: threading.Event) -> None:
    """Send until told to stop: a slice of the entities every 10 ms."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 2})
    begun, sent = time.time(), 0
    while not stopping.is_set():
        due = int((time.time() - begun) / interval * entities)
        while sent < due:
            host = f"host-{sent % entities}"
            value = {"timestamp": int(time.time() * 1000), "host": host, "cpu": 50 + sent % 7}
            send(producer, "live", json.dumps(value).encode(), host)
            sent += 1
        producer.poll(0)
        time.sleep(0.01)
    producer.flush()


def watch(bootstrap: str, seconds: float) -> list[tuple[int, float]]:
    """(window end, delay in ms at which a consumer had the result) of every result in that time."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watch", "fetch.wait.max.ms": 20})
    consumer.assign([TopicPartition("bench.results", number, 0) for number in range(PARTITIONS)])
    seen: list[tuple[int, float]] = []
    deadline = time.time() + seconds
    while time.time() < deadline:
        for message in consumer.consume(5_000, 0.02):
            end = int((message.key() or b"0") and json.loads(message.value())["data_end_time"])
            seen.append((end, time.time() * 1000 - end))
    consumer.close()
    return seen


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=1_000)
    parser.add_argument("--interval", type=int, default=1, help="seconds")
    parser.add_argument("--windows", type=int, default=30, help="how many windows to measure")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder)) as broker,
        Cluster(broker.bootstrap, "bench.", idle_timeout=30) as cluster,
    ):
        create(broker.bootstrap, "live")
        worker = cluster.start_worker()
        before = resident_bytes(worker.pid)
        detector = cluster.create(
            "live",
            time_field="timestamp",
            detection_interval={"period": {"interval": arguments.interval, "unit": "Seconds"}},
            feature_attributes=[{"feature_name": "cpu", "aggregation_query": {"cpu": {"avg": {"field": "cpu"}}}}],
        )
        cluster.start(detector)
        stopping = threading.Event()
        inputs = (broker.bootstrap, arguments.entities, arguments.interval, stopping)
        producer = threading.Thread(target=produce, args=inputs, daemon=True)
        producer.start()
        warm = max(5.0, 1.5 * arguments.interval)
        time.sleep(warm)
        cpu, begun = cpu_seconds(worker.pid), time.time()
        seen = watch(broker.bootstrap, arguments.windows * arguments.interval + 1)
        used = (cpu_seconds(worker.pid) - cpu) / (time.time() - begun)
        stopping.set()
        producer.join()
        after = resident_bytes(worker.pid)
        delays = sorted(delay for end, delay in seen if end > begun * 1000)
        windows = len({end for end, _ in seen if end > begun * 1000})
        if not delays:
            raise SystemExit("no result came in time")
        print(
            f"{arguments.entities:,} entities, windows of {arguments.interval} s:"
            f" {len(delays):,} results of {windows} windows"
        )
        for share in (0.5, 0.9, 0.99, 1.0):
            delay = delays[min(int(share * len(delays)), len(delays) - 1)]
            print(f"  window end to consumer p{share * 100:g}: {delay:.0f} ms")
        print(f"  worker: {used * 100:.0f} % of a core, {after / 1e6:.0f} MB resident")
        print(f"  memory for each entity: {(after - before) / arguments.entities:,.0f} bytes")
        worker.stop()


if __name__ == "__main__":
    main()
