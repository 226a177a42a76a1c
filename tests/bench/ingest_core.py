"""The pure core of ingest, beside a plain loop with orjson and a dict: ns of processor time a record.

    python -m tests.bench.ingest_core [--records N]

The second table has other shapes of records and detectors, for which the plain loop was not written.

Records of about 150 bytes, one-minute windows, runs of 6,500 records (what one fetch of 1 MB holds). The plain loop
does the same windows, record by record: sum and count of each feature.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from schemas.detector import parse_detector
from schemas.detector_check import DetectorLimits
from streams.features.plan import Plan
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import RunWindows

START = 1_700_000_000_000 // 60_000 * 60_000
RUN = 6_500
FIELDS = ("cpu", "memory", "disk", "load", "swap")


@dataclass(frozen=True, slots=True)
class Record:
    """What a consumer gives."""

    offset: int
    value: bytes
    timestamp: int
    key: None = None


@dataclass
class Clock:
    """Seconds of processor time of each step."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, step: str, begun: float) -> None:
        """Count the time since ``begun``."""
        self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - begun


def iso(at: int) -> str:
    """A time as ISO 8601."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z"


def filled(
    records: int, entities: int, features: int, *, length_ms: int = 600_000, times: str = "number", texts: float = 0
) -> list[Record]:
    """Records in the order of time, of random entities: ten minutes in all.

    ``texts`` is the share of those whose numbers are texts.
    """
    dice = random.Random(7)
    found = []
    for number in range(records):
        at = START + number * length_ms // records
        shown = str if dice.random() < texts else float
        document = {
            "timestamp": at if times == "number" else iso(at),
            "host": f"host-{dice.randrange(entities)}",
            "region": "eu-west-1",
            **{name: shown(round(dice.gauss(50, 5), 3)) for name in FIELDS[:features]},
        }
        document["pad"] = "x" * max(0, 150 - len(msgspec.json.encode(document)) - 9)
        found.append(Record(number, msgspec.json.encode(document), at))
    return found


def plan(features: int, kind: str, **members: Any) -> Plan:
    """A detector of that many features of one kind."""
    document = {
        "name": "bench",
        "time_field": "timestamp",
        "indices": ["metrics"],
        "category_field": ["host"],
        "detection_interval": {"period": {"interval": 1, "unit": "Minutes"}},
        "feature_attributes": [
            {"feature_name": name, "aggregation_query": {name: {kind: {"field": name}}}} for name in FIELDS[:features]
        ],
        **members,
    }
    detector = parse_detector(document, limits=DetectorLimits(), now_ms=0, new_id=lambda: "id")
    return Plan.build(owner="bench", run=1, detector_id="bench", detector=detector, partitions=8, most_delay_ms=60_000)


def ours(plan_: Plan, records: Sequence[Record]) -> tuple[Clock, int]:
    """Decode, fold and close; the steps' times and the number of rows that came out."""
    table = EntityTable(plan_)
    decoder = Decoder([plan_], [table], max_ahead_ms=600_000)
    windows = RunWindows(plan_, table, 0)
    clock, rows = Clock(), 0
    for start in range(0, len(records), RUN):
        run = records[start : start + RUN]
        begun = time.process_time()
        decoded = decoder.decode("metrics", 0, run)
        clock.add("decode", begun)
        begun = time.process_time()
        windows.fold(decoded.batches["bench"], run[-1].offset + 1)
        clock.add("fold", begun)
        begun = time.process_time()
        closed = windows.close()
        clock.add("close", begun)
        rows += sum(len(part.entities) for window in closed for part in window.parts.values())
    return clock, rows


def plain(features: int, records: Sequence[Record]) -> tuple[float, int]:
    """The same with a loop and a dict; seconds and rows."""
    names = FIELDS[:features]
    windows: dict[int, dict[str, list[float]]] = {}
    rows, highest = 0, 0
    begun = time.process_time()
    for record in records:
        document = orjson.loads(record.value)
        at = document["timestamp"]
        number = at // 60_000
        row = windows.setdefault(number, {}).setdefault(document["host"], [0.0] * (2 * features))
        for index, name in enumerate(names):
            value = document.get(name)
            if value is not None:
                row[2 * index] += value
                row[2 * index + 1] += 1
        if at > highest:
            highest = at
            for due in [due for due in windows if (due + 1) * 60_000 <= highest]:
                rows += len(windows.pop(due))
    return time.process_time() - begun, rows


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=300_000)
    arguments = parser.parse_args()
    ours(plan(1, "avg"), filled(2 * RUN, 100, 1))  # imports and first calls
    print("entities  features             decode    fold   close   total   plain loop   (ns a record)")
    for entities in (1_000, 100_000):
        for features, kind in ((1, "avg"), (5, "avg"), (1, "cardinality"), (1, "percentiles")):
            records = filled(arguments.records, entities, features)
            clock, rows = ours(plan(features, kind), records)
            seconds, wanted = plain(features, records)
            assert rows == wanted
            steps = [clock.seconds[step] / len(records) * 1e9 for step in ("decode", "fold", "close")]
            line = " ".join(f"{step:7.0f}" for step in (*steps, sum(steps)))
            other = seconds / len(records) * 1e9
            print(f"{entities:8,}  {features} x {kind:12} {line}      {other:7.0f}   {other / sum(steps):.1f} times")
    print("\n1,000 entities, 1 x avg        decode    fold   close   total")
    for name, built, records in shapes(arguments.records):
        clock, _ = ours(built, records)
        steps = [clock.seconds[step] / len(records) * 1e9 for step in ("decode", "fold", "close")]
        print(f"{name:29}" + " ".join(f"{step:7.0f}" for step in (*steps, sum(steps))))


def shapes(records: int) -> Iterator[tuple[str, Plan, list[Record]]]:
    """Other records and detectors, each with its name."""
    usual = plan(1, "avg")
    clauses = [{"term": {"region": "eu-west-1"}}, {"range": {"cpu": {"gte": 45}}}]
    yield "ISO 8601 times", usual, filled(records, 1_000, 1, times="iso")
    yield "1 % numbers as texts", usual, filled(records, 1_000, 1, texts=0.01)
    yield "all numbers as texts", usual, filled(records, 1_000, 1, texts=1)
    yield (
        "a filter: term and range",
        plan(1, "avg", filter_query={"bool": {"filter": clauses}}),
        filled(records, 1_000, 1),
    )
    yield "1 entity, a window a record", usual, filled(records, 1, 1, length_ms=60_000 * records)


if __name__ == "__main__":
    main()
