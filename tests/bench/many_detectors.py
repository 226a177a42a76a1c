"""kill -9 of a worker that has 200 detectors over 50 topics: how long until each of them has a result again.

    python -m tests.bench.many_detectors                    # one worker, started anew at once
    python -m tests.bench.many_detectors --workers 2        # one of two is killed, the other one takes over

Live records, one a second of each host, and windows of one second. What counts is the first result of a window that
ended after the kill. Kafka gives the killed worker up after ``--session`` seconds, the product's default.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local_kafka.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.bench.measure import cpu_seconds, peak_bytes, resident_bytes
from tests.bench.throughput import send
from tests.cluster import Cluster, document

PARTITIONS = 2
"""Of each data topic."""


def produce(bootstrap: str, topics: list[str], hosts: int, stopping: threading.Event) -> None:
    """Send until told to stop: each second one record of each host to each topic."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
    begun, sent = time.time(), 0
    while not stopping.wait(0.01):
        while sent < (time.time() - begun) * hosts:
            host = f"host-{sent % hosts}"
            value = json.dumps({"time": int(time.time() * 1000), "host": host, "value": 50 + sent % 7}).encode()
            for topic in topics:
                send(producer, topic, value, host)
            sent += 1
    producer.flush()


class Results:
    """Follows the topic of results in a thread: ``ends`` is the latest window end of each detector, with the wall
    clock at which its result came."""

    def __init__(self, bootstrap: str, partitions: int, stopping: threading.Event) -> None:
        self.since = 0
        self.first: dict[str, float] = {}
        self._stopping = stopping
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watch", "fetch.wait.max.ms": 20})
        self._consumer.assign([TopicPartition("bench.results", number, 0) for number in range(partitions)])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(5_000, 0.05):
                result = json.loads(message.value())
                if result["data_end_time"] > self.since * 1000:
                    self.first.setdefault(result["detector_id"], time.time())

    def begin(self) -> float:
        """Count anew, windows that end from now on; the wall clock."""
        self.since, self.first = int(time.time()) + 1, {}
        return time.time()

    def all_of(self, detectors: int, seconds: float) -> list[float]:
        """When each detector had its first result, in order, once all have; fewer after so many seconds."""
        deadline = time.monotonic() + seconds
        while len(self.first) < detectors and time.monotonic() < deadline:
            time.sleep(0.05)
        return sorted(self.first.values())


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detectors", type=int, default=200)
    parser.add_argument("--topics", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--session", type=float, default=Settings().session_timeout)
    arguments = parser.parse_args()
    topics = [f"topic-{number}" for number in range(arguments.topics)]
    partitions = Settings().model_partitions
    stopping = threading.Event()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder)) as broker,
        Cluster(broker.bootstrap, "bench.", session_timeout=arguments.session, model_partitions=partitions) as cluster,
    ):
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
            future.result()
        workers = [cluster.start_worker() for _ in range(arguments.workers)]
        inputs = (broker.bootstrap, topics, arguments.hosts, stopping)
        producer = threading.Thread(target=produce, args=inputs, daemon=True)
        producer.start()
        results = Results(broker.bootstrap, partitions, stopping)
        commands = [
            event
            for number in range(arguments.detectors)
            for event in started(f"d{number}", topics[number % len(topics)])
        ]
        begun = results.begin()
        cluster.produce("bench.control", commands)
        report("started", begun, results.all_of(arguments.detectors, 600), arguments.detectors)
        time.sleep(30)
        for _ in range(arguments.kills):
            begun = results.begin()
            workers.pop(0).kill()
            if not workers:
                workers.append(cluster.start_worker(wait=False))
            used = [cpu_seconds(worker.pid) for worker in workers]
            report("killed", begun, results.all_of(arguments.detectors, 300), arguments.detectors)
            for worker, before in zip(workers, used, strict=True):
                print(
                    f"  a worker: {cpu_seconds(worker.pid) - before:.1f} s of CPU in this time,"
                    f" {resident_bytes(worker.pid) / 1e6:.0f} MB, at most {peak_bytes(worker.pid) / 1e6:.0f} MB",
                    flush=True,
                )
            while len(workers) < arguments.workers:
                workers.append(cluster.start_worker())
            time.sleep(20)
        stopping.set()
        producer.join()
        for worker in workers:
            worker.stop()


def started(detector: str, topic: str) -> list[dict[str, object]]:
    """The commands that create and start a detector."""
    return [
        {"type": "detector.put", "detector_id": detector, "detector": document(detector, topic)},
        {"type": "job.start", "detector_id": detector},
    ]


def report(what: str, begun: float, times: list[float], detectors: int) -> None:
    """Print when the first detector had a result, half of them, and all."""
    if len(times) < detectors:
        print(f"{what}: only {len(times)} of {detectors} detectors have a result", flush=True)
        return
    first, half, last = (times[place] - begun for place in (0, len(times) // 2, -1))
    print(f"{what}: first result after {first:.1f} s, half of the detectors {half:.1f} s, all {last:.1f} s", flush=True)


if __name__ == "__main__":
    main()
