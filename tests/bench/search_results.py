"""The results store: how fast it takes results in, and how long searches over millions of results on disk take.

    python -m tests.bench.search_results [--rows 10000000] [--rounds 15] [--data DIR]

First results are written as they come from the topic, in batches of 2,000. Then the table is filled up to the wanted
number by SQL, 200 detectors of 1,000 entities each but the first, which has a tenth of all results. Then every search
is made ``rounds`` times, first on an idle store, then while results are being written.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.results.store import COLUMNS, ResultsStore
from api.search import RESULTS, parse_search
from api.search.sql.search import Table, search_table
from api.search.sql.top import top_anomalies
from schemas.query import parse_query
from schemas.query.bind import bind
from schemas.result import FeatureData, Result, encode_result
from schemas.task import EntityValue

START = 1_790_000_000_000
MINUTE = 60_000
BATCH = 2_000
BIG = "detector-0-0000000000"


@dataclass(frozen=True)
class Record:
    """A record of the results topic."""

    partition: int
    offset: int
    value: bytes
    time: int


def live(offset: int, dice: random.Random) -> Record:
    """A result of a live detector, in time order."""
    entity, end = f"host-{offset % 1000}", START + offset // 1000 * MINUTE
    result = Result(
        id=f"live|{entity}|{end}",
        detector_id="live",
        schema_version=7,
        data_start_time=end - MINUTE,
        data_end_time=end,
        feature_data=[FeatureData("feature-000000000001", "cpu", dice.random())],
        execution_start_time=end,
        execution_end_time=end + 5,
        anomaly_score=dice.random(),
        anomaly_grade=0.0 if dice.random() > 0.002 else dice.random(),
        confidence=dice.random(),
        threshold=1.1,
        entity=[EntityValue("host", entity)],
        model_id=f"live_entity_{entity}",
    )
    return Record(offset % 4, offset // 4, encode_result(result), end)


def feed(store: ResultsStore, count: int, start: int = 0) -> float:
    """Write results in batches. How many a second."""
    dice, spent = random.Random(start), 0.0
    for first in range(start, start + count, BATCH):
        batch = [live(offset, dice) for offset in range(first, first + BATCH)]
        began = time.perf_counter()
        store.upsert(batch)
        spent += time.perf_counter() - began
    return count / spent


FILL = f"""
INSERT INTO results BY NAME
SELECT (n % 4)::INTEGER AS partition, n // 4 AS seq_no, moment AS stored_at,
  detector_id || '|' || entity_value || '|' || moment AS id,
  detector_id, 7 AS schema_version, moment - {MINUTE} AS data_start_time, moment AS data_end_time,
  [{{feature_id: 'feature-000000000001', feature_name: 'cpu', data: random() * 100}}] AS feature_data,
  moment AS execution_start_time, moment + 5 AS execution_end_time, random() * 2 AS anomaly_score,
  CASE WHEN random() < 0.002 THEN random() ELSE 0 END AS anomaly_grade, random() AS confidence, 1.1 AS threshold,
  [{{name: 'host', value: entity_value}}] AS entity, detector_id || '_entity_' || entity_value AS model_id
FROM (SELECT n, {START} + n // 2000 * {MINUTE} // 10 AS moment, 'host-' || (n * 7919 % 1000) AS entity_value,
  CASE WHEN n % 10 = 0 THEN '{BIG}' ELSE 'detector-' || (n % 199 + 1) || '-0000000000' END AS detector_id
  FROM range(?, ?) t(n))
"""


def searches(rows: int) -> dict[str, Callable[[Table], Any]]:
    """What is measured, by name."""
    end = START + rows // 2000 * MINUTE // 10
    day = {"range": {"data_end_time": {"gte": end - 86_400_000, "lte": end}}}
    big, small = {"term": {"detector_id": BIG}}, {"term": {"detector_id": "detector-17-0000000000"}}
    anomalous = {"range": {"anomaly_grade": {"gt": 0}}}
    latest = [{"data_start_time": "desc"}]
    host = {"nested": {"path": "entity", "query": {"term": {"entity.value": "host-500"}}}}
    grade = {"top": {"max": {"field": "anomaly_grade"}}}
    bodies: dict[str, dict[str, Any]] = {
        "term + range + sort page, small detector": {"query": {"bool": {"filter": [small, day]}}, "sort": latest},
        "term + range + sort page, large detector": {"query": {"bool": {"filter": [big, day]}}, "sort": latest},
        "anomalies of a detector, worst first": {
            "query": {"bool": {"filter": [big, anomalous]}},
            "sort": [{"anomaly_grade": "desc"}],
        },
        "one entity of a detector": {"query": {"bool": {"filter": [small, host]}}, "sort": latest},
        "match_all page": {"sort": latest},
        "by id": {"query": {"ids": {"values": [f"{BIG}|host-0|{START}"]}}},
        "grades by day (date_histogram, max)": {
            "size": 0,
            "query": big,
            "aggs": {"d": {"date_histogram": {"field": "data_end_time", "fixed_interval": "1d"}, "aggs": grade}},
        },
        "top entities (terms, max, top_hits)": {
            "size": 0,
            "query": {"bool": {"filter": [big, anomalous]}},
            "aggs": {
                "m": {
                    "terms": {"field": "model_id", "order": {"top": "desc"}},
                    "aggs": {**grade, "e": {"top_hits": {"size": 1, "_source": {"includes": ["entity"]}}}},
                }
            },
        },
    }

    def searching(body: dict[str, Any]) -> Callable[[Table], Any]:
        request = parse_search(body)
        return lambda table: search_table(request, table, RESULTS, lambda hit: "results", end)

    condition = bind(parse_query({"bool": {"filter": [big, anomalous]}}), RESULTS, end)
    return {
        **{name: searching(body) for name, body in bodies.items()},
        "topAnomalies of the large detector": lambda table: top_anomalies(table, condition, ["host"]),
    }


def table_of(cursor: Any) -> Table:
    """The store's table, asked through a connection."""
    return Table("results", COLUMNS, lambda sql, values: cursor.execute(sql, values).fetchall())


def measure(store: ResultsStore, rows: int, rounds: int) -> None:
    """Print the median and the worst time of each search."""
    for name, question in searches(rows).items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            with store.reading() as cursor:
                question(table_of(cursor))
            times.append((time.perf_counter() - began) * 1000)
        print(f"  {name:45} median {statistics.median(times):7.1f} ms   worst {max(times):7.1f} ms")


def main() -> None:
    """Run the bench."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--data", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = ResultsStore(given.data or Path(temporary))
        print(f"written in batches of {BATCH}: {feed(store, 100_000):,.0f} results/s into an empty store")
        with store.reading() as cursor:
            for first in range(store.count(), given.rows, 500_000):
                cursor.execute(FILL, [first, min(first + 500_000, given.rows)])
            cursor.commit()
        print(f"{store.count():,} results, {store.size() / 1e6:,.0f} MB on disk")
        print(f"written into the full store: {feed(store, 100_000, 10_000_000):,.0f} results/s")
        print("searches, nothing else going on:")
        measure(store, given.rows, given.rounds)
        stop = threading.Event()
        written = 0

        def write() -> None:
            nonlocal written
            dice, offset = random.Random(1), 20_000_000
            while not stop.is_set():
                store.upsert([live(one, dice) for one in range(offset, offset + BATCH)])
                offset, written = offset + BATCH, written + BATCH

        writer, began = threading.Thread(target=write), time.perf_counter()
        writer.start()
        print("searches while results are written as fast as they can be:")
        measure(store, given.rows, given.rounds)
        stop.set()
        writer.join()
        print(f"  meanwhile {written / (time.perf_counter() - began):,.0f} results/s were made and written")
        print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
        store.close()


if __name__ == "__main__":
    main()
