"""kill -9 of the worker while records flow: how long until results flow again, and how much is read again.

    python -m tests.bench.recovery [--interval 600]

One worker, restarted at once, ten times. With long windows (``--interval 600``) no result comes in between, so only
what is read again is printed: what lies between the offset that reading begins at and the topic's end at the kill.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.live import produce
from tests.bench.throughput import PARTITIONS, count, create
from tests.cluster import Cluster, WorkerProcess

ENTITIES = 1_000
BEGINS = re.compile(r"source begins .*offset=(\d+) partition=(\d+) topic=live")


def ends(bootstrap: str) -> dict[int, int]:
    """The end offset of each partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        numbers = range(PARTITIONS)
        return {n: consumer.get_watermark_offsets(TopicPartition("live", n), timeout=10)[1] for n in numbers}
    finally:
        consumer.close()


def begun_at(worker: WorkerProcess) -> dict[int, int]:
    """Where the worker began to read each partition, from its log; waits until it has said so."""
    while True:
        found = [match for line in list(worker.lines) if (match := BEGINS.search(line))]
        if len({match[2] for match in found}) == PARTITIONS:
            return {int(match[2]): int(match[1]) for match in reversed(found)}
        time.sleep(0.05)


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interval", type=int, default=1, help="seconds of a window")
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder)) as broker,
        Cluster(broker.bootstrap, "bench.", idle_timeout=30) as cluster,
    ):
        create(broker.bootstrap, "live")
        worker = cluster.start_worker()
        detector = cluster.create(
            "live",
            time_field="timestamp",
            detection_interval={"period": {"interval": arguments.interval, "unit": "Seconds"}},
            feature_attributes=[{"feature_name": "cpu", "aggregation_query": {"cpu": {"avg": {"field": "cpu"}}}}],
        )
        cluster.start(detector)
        stopping = threading.Event()
        # One record an entity and second, whatever the windows are.
        threading.Thread(target=produce, args=(broker.bootstrap, ENTITIES, 1.0, stopping), daemon=True).start()
        dice, silent, again = random.Random(1), [], []
        time.sleep(15)
        for _ in range(arguments.kills):
            time.sleep(dice.uniform(3, 9))
            worker.kill()
            killed, at_kill, before = time.time(), ends(broker.bootstrap), count(broker.bootstrap, "bench.results")
            worker = cluster.start_worker(wait=False)
            begun = begun_at(worker)
            if arguments.interval < 60:
                while count(broker.bootstrap, "bench.results") <= before:
                    time.sleep(0.05)
                silent.append(time.time() - killed)
            again.append(sum(at_kill[n] - begun[n] for n in begun) / ENTITIES)
        stopping.set()
        if silent:
            ordered = sorted(silent)
            print(f"kill to next result: median {ordered[len(ordered) // 2]:.1f} s, longest {ordered[-1]:.1f} s")
        mean = sum(again) / len(again)
        print(f"read again after a kill: {max(again):.1f} s worth of records at most, {mean:.1f} s on average")
        worker.stop()


if __name__ == "__main__":
    main()
