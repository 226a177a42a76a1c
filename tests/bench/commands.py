"""Events on the control topic, from the first one written until the last one's outcome is in its topic.

    python -m tests.bench.commands [--events 20000] [--detectors 200]

Progress reports as workers write them, for running detectors, and then commands that each want a reply.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.bench.throughput import create
from tests.cluster import Cluster, document


def wait_for_reply(cluster: Cluster, request_id: str) -> None:
    """Return when the reply is there."""
    cluster.read("replies", lambda replies: any(each.key() == request_id.encode() for each in replies))


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--detectors", type=int, default=200)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder)) as broker,
        Cluster(broker.bootstrap, "bench.") as cluster,
    ):
        worker = cluster.start_worker()
        create(broker.bootstrap, "metrics")
        detectors = [cluster.create("metrics", detector_id=f"d{number}") for number in range(arguments.detectors)]
        for detector in detectors:
            cluster.start(detector)
        runs = {
            state["id"]: state["run"]["id"]
            for message in cluster.read("state", lambda messages: len(messages) >= 2 * len(detectors))
            if message.value() is not None and (state := json.loads(message.value()))["kind"] == "job"
        }
        reports = [
            {
                "type": "progress", "detector_id": detectors[number % len(detectors)], "partition": number % 4,
                "run": runs[detectors[number % len(detectors)]], "rows": 1 + number * 30 // arguments.events,
                "node_id": "bench",
            }
            for number in range(arguments.events)
        ]  # fmt: skip
        commands = [
            {
                "type": "detector.put", "detector_id": f"n{number % 100}", "request_id": f"r{number}",
                "detector": document(f"n{number % 100}", "metrics"),
            }
            for number in range(arguments.events // 10)
        ]  # fmt: skip
        for what, events in (("progress reports", reports), ("commands", commands)):
            last = {"type": "job.stop", "detector_id": "unknown", "request_id": what}
            begun = time.monotonic()
            cluster.produce("bench.control", [*events, last])
            wait_for_reply(cluster, what)
            seconds = time.monotonic() - begun
            print(f"{len(events):,} {what}: {seconds:.1f} s, {len(events) / seconds:,.0f} a second")
        worker.stop()


if __name__ == "__main__":
    main()
