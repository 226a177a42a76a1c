"""From the start event on the control topic until the records of a topic new to the worker are read.

    python -m tests.bench.begin [--times 20]

Every start makes the group rebalance, since no detector has read the topic before. Two records of old event times,
sent as soon as the start is confirmed, close a window: its result is the proof that reading goes on.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.throughput import create
from tests.cluster import Cluster


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder)) as broker,
        Cluster(broker.bootstrap, "bench.") as cluster,
    ):
        worker = cluster.start_worker()
        reading, resulting = [], []
        for number in range(arguments.times):
            topic = f"new-{number}"
            create(broker.bootstrap, topic)
            detector = cluster.create(topic)
            begun = time.monotonic()
            cluster.start(detector)
            cluster.produce(topic, [{"time": 1_000_000 + 5_000 * k, "host": "a", "value": 1} for k in range(2)])
            worker.wait_for("source begins", f"topic={topic}")
            reading.append(time.monotonic() - begun)
            cluster.results(detector, 1)
            resulting.append(time.monotonic() - begun)
        for what, seconds in (("reading begins", reading), ("first result at a consumer", resulting)):
            print(f"start event until {what}: median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s")
        worker.stop()


if __name__ == "__main__":
    main()
