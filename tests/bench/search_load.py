"""Searches of tasks at a fixed rate while the API takes in results: delays, and whether the view keeps up.

    python -m tests.bench.search_load [--requests 1000] [--results 20000] [--seconds 20] [--free]

A real API process is bound to one core (``--free`` lets it have all), Kafka, the writer of results and the client have
the others. Requests come when they are due, whether or not the ones before them have been answered: a delay counts from
then.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop
from confluent_kafka import Producer

from deploy.local_kafka.broker import LocalBroker, free_port
from schemas.state import StoredTask, encode
from schemas.task import Task
from tests.bench.measure import cpu_seconds, peak_bytes
from tests.cluster import PARTITIONS, Cluster

SEARCH = "/_plugins/_anomaly_detection/detectors/tasks/_search"
RESULTS = "/_plugins/_anomaly_detection/detectors/results/_search"
CONNECTIONS = 64
DETECTORS = 1_000
LEAD = 0.5
"""Seconds for the connections to be made."""
NOW = int(time.time() * 1000)


def tasks(count: int) -> Iterator[tuple[str, bytes]]:
    """Key and record of each task: real-time ones, analyses and their entities, as in ``search_tasks``."""
    dice = random.Random(5)
    for number in range(count):
        run, place = divmod(number, 25)
        start = NOW - dice.randrange(30 * 86_400_000)
        task = Task(
            task_type=("REALTIME_HC_DETECTOR", "HISTORICAL_HC_DETECTOR", "HISTORICAL_HC_ENTITY")[min(place, 2)],
            state="RUNNING" if place == 0 else "FINISHED",
            detector_id=f"detector-{run % DETECTORS:04}",
            is_latest=True,
            task_progress=1.0,
            execution_start_time=start,
            last_update_time=start + 60_000,
            parent_task_id=f"task-{run * 25 + 1}" if place > 1 else None,
            detector={"name": f"detector-{run % DETECTORS:04}", "indices": ["metrics"], "description": "d" * 100},
        )
        yield f"task-{number}", encode(StoredTask(id=f"task-{number}", version=1, control_offset=0, document=task))


def searches(count: int) -> list[bytes]:
    """The bodies of the three searches of the job operations page, for many detectors."""
    found: list[dict[str, Any]] = []
    for number in range(count // 25):
        detector = {"term": {"detector_id": f"detector-{number % DETECTORS:04}"}}
        latest = {"term": {"is_latest": "true"}}
        for types in (["HISTORICAL_SINGLE_ENTITY", "HISTORICAL_HC_DETECTOR"], ["REALTIME_HC_DETECTOR"]):
            found.append({"query": {"bool": {"filter": [detector, latest, {"terms": {"task_type": types}}]}}})
        parent = {"term": {"parent_task_id": {"value": f"task-{number * 25 + 1}"}}}
        states = {"test": {"terms": {"field": "state", "size": 100}}}
        found.append({"size": 0, "query": {"bool": {"filter": [parent]}}, "aggs": states})
    random.Random(1).shuffle(found)
    return [json.dumps(body).encode() for body in found]


def feed(bootstrap: str, rate: int, seconds: float, sent: Any) -> None:
    """Write results at a rate; a process of its own."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "lz4"})
    begun, number = time.time(), 0
    while time.time() < begun + seconds:
        due = int((time.time() - begun) * rate)
        while number < due:
            entity, end = number % 1000, NOW + number // 1000 * 60_000
            producer.produce(
                "bench.results",
                b'{"id":"live|host-%d|%d","detector_id":"live","schema_version":7,"data_start_time":%d,"data_end_time":%d,'
                b'"feature_data":[{"feature_id":"feature-000000000001","feature_name":"cpu","data":%d.25}],'
                b'"execution_start_time":%d,"execution_end_time":%d,"anomaly_score":1.25,"anomaly_grade":0.0,'
                b'"confidence":0.97,"threshold":1.1,"entity":[{"name":"host","value":"host-%d"}],'
                b'"model_id":"live_entity_host-%d"}'
                % (entity, end, end - 60_000, end, number % 97, end, end + 5, entity, entity),
                partition=entity % PARTITIONS,
            )
            number += 1
            if number % 1000 == 0:
                producer.poll(0)
        time.sleep(0.01)
    producer.flush(30)
    sent.value = number


async def ask(url: str, bodies: list[bytes], rate: int, seconds: float) -> tuple[list[float], int]:
    """Ask at a rate. The delays in ms, and how many answers were no success."""
    address, numbers, delays, failed = urlsplit(url), itertools.count(), list[float](), 0
    begun = time.perf_counter() + LEAD

    async def connection() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while (due := begun + next(numbers) / rate) < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body = bodies[int((due - begun) * rate) % len(bodies)]
            writer.write(
                b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (SEARCH.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            delays.append((time.perf_counter() - due) * 1000)
            failed += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return delays, failed


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """What is started here gets these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def count(client: httpx.Client, path: str) -> int:
    """How many documents a search finds."""
    answer = client.post(path, json={"size": 0, "track_total_hits": True, "query": {"match_all": {}}})
    return int(answer.json()["hits"]["total"]["value"]) if answer.is_success else 0


def until(client: httpx.Client, path: str, wanted: int, seconds: float = 120.0) -> float:
    """Seconds until a search finds so many."""
    begun = time.monotonic()
    while count(client, path) < wanted and time.monotonic() < begun + seconds:
        time.sleep(0.1)
    return time.monotonic() - begun


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000, help="a second")
    parser.add_argument("--results", type=int, default=20_000, help="a second; 0 for none")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--free", action="store_true", help="the API may have all cores")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    mine, others = ({*cores}, {*cores}) if given.free or len(cores) < 2 else ({cores[0]}, {*cores[1:]})
    os.sched_setaffinity(0, others)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalBroker(free_port(), Path(folder) / "kafka") as broker,
        Cluster(broker.bootstrap, "bench.") as cluster,
    ):
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 20})
        for key, record in tasks(given.tasks):
            producer.produce("bench.state", record, key=key)
            producer.poll(0)
        producer.flush(60)
        with on(mine):
            api = cluster.start_api(Path(folder))
        with httpx.Client(base_url=api.url, timeout=60) as client:
            print(f"{given.tasks:,} tasks read in {until(client, SEARCH, given.tasks):.1f} s; cores of the API: {mine}")
            bodies = searches(given.tasks)
            asyncio.run(ask(api.url, bodies, given.requests // 4 or 1, 2.0))
            sent = multiprocessing.Value("l", 0)
            feeder = multiprocessing.Process(target=feed, args=(broker.bootstrap, given.results, given.seconds, sent))
            used = cpu_seconds(api.pid)
            if given.results:
                feeder.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                begun = time.monotonic()
                delays, failed = runner.run(ask(api.url, bodies, given.requests, given.seconds))
                took = time.monotonic() - begun - LEAD
            used = cpu_seconds(api.pid) - used
            delays.sort()
            middle, most = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
            print(f"{len(delays) / took:,.0f} requests/s of {given.requests:,} asked for, {failed} of them refused")
            print(f"  delay p50 {middle:.1f} ms, p99 {most:.1f} ms, longest {delays[-1]:.1f} ms")
            if given.results:
                feeder.join()
                written = count(client, RESULTS)
                behind = until(client, RESULTS, sent.value)
                print(f"  meanwhile {sent.value / given.seconds:,.0f} results/s were written to the topic")
                print(
                    f"  of which the view held {written / sent.value:.1%} at the end, and all after {behind:.1f} s more"
                )
            print(f"  the API used {used / took:.2f} cores, {peak_bytes(api.pid) / 1e6:,.0f} MB at most")


if __name__ == "__main__":
    main()
