"""Historical analysis: seconds from _start to FINISHED, beside live work, and how soon a cold start gives grades.

    python -m tests.bench.history [--records N] [--only throughput,single,live,cold]

The targets: 10 million records (1,000 entities, 4 partitions, one-minute windows) in less than 60 s on one worker with
every result in the topic, at least 1.6 times faster on two workers where two cores are free; 10,000 rows of one entity
in less than 2 s; live windows of a second detector meanwhile with a p99 below 2 s; the first graded result of a cold
start of 1,000 entities x 500 windows in less than 5 s. A live OpenSearch on the same kind of machine took 1.2 to 1.4 s
for the 10,000 rows with its pauses turned off (46.7 s with its defaults), and 5,000 rows/s for 100 entities.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.measure import cpu_seconds
from tests.bench.throughput import START, count, create, fill, send
from tests.cluster import Cluster
from tests.streams.scan.conftest import analyse, tasks

MINUTE = {"period": {"interval": 1, "unit": "Minutes"}}
SECOND = {"period": {"interval": 1, "unit": "Seconds"}}
CPU = [{"feature_name": "cpu", "aggregation_query": {"cpu": {"avg": {"field": "cpu"}}}}]
ENDED = ("FINISHED", "STOPPED", "FAILED")


def finished(cluster: Cluster, task: str) -> dict[str, Any]:
    """The task once it has ended, which must be well."""
    document = tasks(cluster, lambda found: found.get(task, {}).get("state") in ENDED, 600)[task]
    assert document["state"] == "FINISHED", document
    return document


def took(document: dict[str, Any]) -> float:
    """Seconds from _start to the task's end."""
    return (document["execution_end_time"] - document["execution_start_time"]) / 1000


def throughput(bootstrap: str, records: int, workers: int) -> None:
    """Many records of many entities."""
    if workers == 1:
        fill(bootstrap, "many", records)
    prefix = f"many{workers}."
    with Cluster(bootstrap, prefix, model_partitions=4) as cluster:
        for _ in range(workers):
            cluster.start_worker()
        before = sum(cpu_seconds(worker.pid) for worker in cluster.workers)
        time.sleep(5 * (workers > 1))
        detector = cluster.create("many", time_field="timestamp", detection_interval=MINUTE, feature_attributes=CPU)
        task = analyse(cluster, detector, START, START + records // 1000 * 1000)
        seconds = took(finished(cluster, task))
        results = count(bootstrap, prefix + "results")
        used = sum(cpu_seconds(worker.pid) for worker in cluster.workers) - before
        print(
            f"{records:,} records, {workers} worker(s): {seconds:.1f} s, {records / seconds:,.0f} records/s,"
            f" {used:.1f} s of CPU, {results:,} results in the topic",
            flush=True,
        )


def single(bootstrap: str) -> None:
    """One entity, 10,000 rows of one minute."""
    create(bootstrap, "single")
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    dice = random.Random(3)
    for row in range(10_000):
        value = json.dumps({"time": START + row * 60_000, "cpu": dice.gauss(50, 5)}).encode()
        producer.produce("single", value, partition=0)
    producer.flush()
    with Cluster(bootstrap, "single.") as cluster:
        cluster.start_worker()
        detector = cluster.create("single", category_field=[], detection_interval=MINUTE, feature_attributes=CPU)
        for _ in range(3):
            document = finished(cluster, analyse(cluster, detector, START, START + 10_000 * 60_000))
            print(f"10,000 rows of one entity: {took(document):.2f} s", flush=True)


def latencies(bootstrap: str, topic: str, stop: threading.Event) -> list[float]:
    """Seconds from the window's end to the result, of everything that comes into a topic of results."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "latency", "fetch.wait.max.ms": 10})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    ends = [consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
    consumer.assign([TopicPartition(topic, place.partition, end) for place, end in zip(places, ends, strict=True)])
    seen: list[float] = []

    def take(message: Message) -> None:
        result = json.loads(message.value())
        if "task_id" not in result:
            seen.append(time.time() - result["data_end_time"] / 1000)

    while not stop.is_set():
        for message in consumer.consume(1000, 0.05):
            if message.error() is None:
                take(message)
    consumer.close()
    return seen


def live(bootstrap: str, records: int) -> None:
    """Live windows of one second beside an analysis."""
    create(bootstrap, "live")
    with Cluster(bootstrap, "live.", model_partitions=4, start_timeout=1) as cluster:
        cluster.start_worker()
        now = cluster.create("live", detection_interval=SECOND, history=1)
        cluster.start(now)
        stop = threading.Event()

        def produce() -> None:
            producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
            while not stop.is_set():
                for host in range(100):
                    value = json.dumps({"time": int(time.time() * 1000), "host": f"h{host}", "value": 1.0}).encode()
                    send(producer, "live", value, f"h{host}")
                producer.flush()
                time.sleep(0.2)

        seen: list[list[float]] = []
        threads = [
            threading.Thread(target=produce),
            threading.Thread(target=lambda: seen.append(latencies(bootstrap, "live.results", stop))),
        ]
        for thread in threads:
            thread.start()
        time.sleep(10)
        then = cluster.create("many", time_field="timestamp", detection_interval=MINUTE, feature_attributes=CPU)
        seconds = took(finished(cluster, analyse(cluster, then, START, START + records // 1000 * 1000)))
        stop.set()
        for thread in threads:
            thread.join()
        found = sorted(seen[0])
        print(
            f"live windows beside an analysis of {seconds:.1f} s: {len(found):,} results,"
            f" p50 {found[len(found) // 2]:.2f} s, p99 {found[int(len(found) * 0.99)]:.2f} s, worst {found[-1]:.2f} s",
            flush=True,
        )


def cold(bootstrap: str) -> None:
    """1,000 entities with 500 windows of one minute up to now; then a start."""
    create(bootstrap, "cold")
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20})
    dice = random.Random(5)
    begin = int(time.time() * 1000) - 500 * 60_000
    for row in range(500):
        for host in range(1000):
            moment = begin + row * 60_000
            value = json.dumps({"time": moment, "host": f"h{host}", "cpu": dice.gauss(50, 5)}).encode()
            send(producer, "cold", value, f"h{host}")
    producer.flush()
    with Cluster(bootstrap, "cold.", model_partitions=4) as cluster:
        cluster.start_worker()
        detector = cluster.create("cold", detection_interval=MINUTE, feature_attributes=CPU, history=500)
        begun = time.time()
        cluster.start(detector)
        graded: list[float] = []

        def confident(messages: list[Message]) -> bool:
            for message in messages:
                if not graded and json.loads(message.value()).get("confidence", 0) > 0:
                    graded.append(time.time() - begun)
            return len(messages) >= 450_000

        cluster.read("results", confident, 120)
        print(
            f"cold start: first graded result after {graded[0]:.2f} s, all after {time.time() - begun:.1f} s",
            flush=True,
        )


def main() -> None:
    """Run what is asked for and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--only", default="throughput,two,live,single,cold")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[str], None]] = {
        "throughput": lambda bootstrap: throughput(bootstrap, arguments.records, 1),
        "two": lambda bootstrap: throughput(bootstrap, arguments.records, 2),
        "live": lambda bootstrap: live(bootstrap, arguments.records),
        "single": single,
        "cold": cold,
    }
    with tempfile.TemporaryDirectory() as folder, LocalBroker(free_port(), Path(folder), heap="1g") as broker:
        for name in arguments.only.split(","):
            parts[name](broker.bootstrap)


if __name__ == "__main__":
    main()
