"""The pure core of ingest: records/s of decoding, and of decoding, folding and closing, beside a plain loop.

    python -m tests.bench.ingest_core [--records N] [--seconds S]

One core, no Kafka. The plain loop decodes with orjson and keeps one dict of sums and counts a window.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.detector import parse_detector
from schemas.detector_check import DetectorLimits
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import RunWindows
from streams.plan import Plan

START = 1_700_000_000_000 // 60_000 * 60_000
FETCH = 4_000
UNLIMITED = DetectorLimits(**dict.fromkeys(DetectorLimits.__dataclass_fields__, 2**62))


@dataclass(frozen=True, slots=True)
class Record:
    """What a consumer gives."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    entities: int
    features: Sequence[dict[str, Any]]
    interval_seconds: int = 60
    step_ms: float = 1.0
    iso: bool = False
    filter_query: dict[str, Any] | None = None
    odd: float = 0.0


ONE = [{"avg": {"field": "cpu"}}]
FIVE = [
    {"avg": {"field": "cpu"}},
    {"max": {"field": "cpu"}},
    {"sum": {"field": "memory"}},
    {"min": {"field": "disk"}},
    {"value_count": {"field": "status"}},
]
FILTER = {"bool": {"filter": [{"term": {"status": "ok"}}, {"range": {"memory": {"gte": 0.1}}}]}}

CASES = [
    Case("1,000 entities, 1 feature", 1_000, ONE),
    Case("1,000 entities, 5 features", 1_000, FIVE),
    Case("100,000 entities, 1 feature", 100_000, ONE, step_ms=0.1),
    Case("100,000 entities, 5 features", 100_000, FIVE, step_ms=0.1),
    Case("1,000 entities, ISO 8601 times", 1_000, ONE, iso=True),
    Case("1,000 entities, filter", 1_000, ONE, filter_query=FILTER),
    Case("1,000 entities, 1 % odd records", 1_000, ONE, odd=0.01),
    Case("1,000 entities, all values as texts", 1_000, ONE, odd=1.0),
    Case("1 entity, 1 s windows, 1 record each", 1, ONE, interval_seconds=1, step_ms=1_000.0),
]


def plan_of(case: Case) -> Plan:
    """The run of a detector with the case's features."""
    document = {
        "name": "bench",
        "time_field": "timestamp",
        "indices": ["metrics"],
        "feature_attributes": [
            {"feature_name": f"f{number}", "aggregation_query": {f"a{number}": body}}
            for number, body in enumerate(case.features)
        ],
        "detection_interval": {"period": {"interval": case.interval_seconds, "unit": "Seconds"}},
        "category_field": ["host"],
        **({"filter_query": case.filter_query} if case.filter_query else {}),
    }
    detector = parse_detector(document, limits=UNLIMITED, now_ms=0, new_id=lambda: "id")
    return Plan.build(owner="d", run=0, detector_id="d", detector=detector, partitions=4)


def records_of(case: Case, count: int) -> list[Record]:
    """JSON records of about 150 bytes, in order of event time."""
    dice = random.Random(7)
    records = []
    for number in range(count):
        moment = START + int(number * case.step_ms)
        cpu = round(dice.gauss(50, 5), 4)
        document = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 1000)) + "Z"
            if case.iso
            else moment,
            "host": f"host-{dice.randrange(case.entities)}",
            "region": "eu-west-1",
            "service": "checkout",
            "cpu": str(cpu) if dice.random() < case.odd else cpu,
            "memory": round(dice.random(), 4),
            "disk": number % 97,
            "status": "ok",
        }
        records.append(Record(number, None, orjson.dumps(document)))
    return records


def decode_only(case: Case, records: list[Record]) -> None:
    """Records to batches."""
    plan = plan_of(case)
    decoder = Decoder([plan], [EntityTable(plan)], max_ahead_ms=600_000)
    for start in range(0, len(records), FETCH):
        decoder.decode("metrics", 0, records[start : start + FETCH], 2**42)


def whole(case: Case, records: list[Record]) -> None:
    """Records to closed windows."""
    plan = plan_of(case)
    table = EntityTable(plan)
    decoder = Decoder([plan], [table], max_ahead_ms=600_000)
    windows = RunWindows(plan, table, 0)
    for start in range(0, len(records), FETCH):
        fetch = records[start : start + FETCH]
        decoded = decoder.decode("metrics", 0, fetch, 2**42)
        windows.fold(decoded.batches["d"], fetch[-1].offset + 1)
        windows.close()
    windows.close_all()


def plain(case: Case, records: list[Record]) -> None:
    """orjson and one dict a window: the average of one field by host."""
    interval = case.interval_seconds * 1000
    windows: dict[int, dict[str, list[float]]] = {}
    clock = 0
    for record in records:
        document = orjson.loads(record.value or b"")
        moment = document["timestamp"]
        if isinstance(moment, str):
            moment = START
        end = moment // interval * interval + interval
        window = windows.get(end)
        if window is None:
            window = windows[end] = {}
        state = window.get(document["host"])
        if state is None:
            state = window[document["host"]] = [0.0, 0.0]
        state[0] += float(document["cpu"])
        state[1] += 1
        if moment > clock:
            clock = moment
            for due in [due for due in windows if due <= clock]:
                del windows[due]


def rate(work: Callable[[Case, list[Record]], None], case: Case, records: list[Record], seconds: float) -> float:
    """Records a second of the best run within a time."""
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until or best == float("inf"):
        started = time.perf_counter()
        work(case, records)
        best = min(best, time.perf_counter() - started)
    return len(records) / best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    print(f"{'k records/s':40} {'decode':>8} {'whole':>8} {'ns each':>8} {'plain loop':>11}")
    for case in CASES:
        records = records_of(case, options.records)
        rates = [rate(work, case, records, options.seconds) for work in (decode_only, whole, plain)]
        print(
            f"{case.name:40} {rates[0] / 1e3:8.0f} {rates[1] / 1e3:8.0f} {1e9 / rates[1]:8.0f}"
            f" {rates[2] / 1e3:11.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
