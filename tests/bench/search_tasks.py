"""Searches over many tasks in memory: the three of the job operations page, and a few wider ones.

    python -m tests.bench.search_tasks [--tasks 100000] [--rounds 200]

1,000 detectors have a hundredth of the tasks each: a real-time one, historical runs with their entities. Times include
reading the search body and writing the answer as JSON.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import time
from typing import Any

import orjson

from api.detectors.catalog import Catalog, StoredDocument
from api.search import TASKS, DocumentTable, parse_search, search_documents

NOW = 1_795_493_335_499


def table(tasks: int) -> DocumentTable[StoredDocument]:
    """So many tasks."""
    dice, found = random.Random(5), Catalog().tasks
    for number in range(tasks):
        run, place = divmod(number, 25)
        detector = f"detector-{run % 1000:04}"
        kind = ("REALTIME_HC_DETECTOR", "HISTORICAL_HC_DETECTOR", "HISTORICAL_HC_ENTITY")[min(place, 2)]
        start = NOW - dice.randrange(30 * 86_400_000)
        source: dict[str, Any] = {
            "detector_id": detector,
            "task_type": kind,
            "state": "RUNNING" if place == 0 else "FINISHED",
            "is_latest": run >= tasks // 25 - 1000,
            "execution_start_time": start,
            "last_update_time": start + 60_000,
            "task_progress": 1.0,
            "detector": {"name": detector, "indices": ["metrics"], "description": "d" * 100},
        }
        if place > 1:
            source |= {"parent_task_id": f"task-{run * 25 + 1}", "entity": [{"name": "host", "value": f"host-{place}"}]}
        found.put(StoredDocument(f"task-{number}", 3, number, source))
    return found


def searches(tasks: int) -> dict[str, dict[str, Any]]:
    """What is measured, by name."""
    run = tasks // 25 - 500
    detector = {"term": {"detector_id": f"detector-{run % 1000:04}"}}
    latest = {"term": {"is_latest": "true"}}

    def page(*types: str) -> dict[str, Any]:
        return {"query": {"bool": {"filter": [detector, latest, {"terms": {"task_type": list(types)}}]}}}

    parent = {"term": {"parent_task_id": {"value": f"task-{run * 25 + 1}", "boost": 1.0}}}
    newest = {"top_hits": {"size": 1, "sort": [{"execution_start_time": "desc"}]}}
    return {
        "page: latest historical task": page("HISTORICAL_SINGLE_ENTITY", "HISTORICAL_HC_DETECTOR"),
        "page: latest real-time task": page("REALTIME_SINGLE_ENTITY", "REALTIME_HC_DETECTOR"),
        "page: states of the entities": {
            "size": 0,
            "query": {"bool": {"filter": [parent]}},
            "aggs": {"test": {"terms": {"field": "state", "size": 100}}},
        },
        "the latest task of every detector": {
            "size": 0,
            "query": {"bool": {"filter": [latest, {"term": {"task_type": "REALTIME_HC_DETECTOR"}}]}},
            "aggs": {"d": {"terms": {"field": "detector_id", "size": 1000}, "aggs": {"t": newest}}},
        },
        "range over all, sorted": {
            "query": {"range": {"execution_start_time": {"gte": "now-7d"}}},
            "sort": [{"execution_start_time": "desc"}],
        },
    }


def main() -> None:
    """Run the bench."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=200)
    given = arguments.parse_args()
    began = time.perf_counter()
    documents = table(given.tasks)
    print(f"{len(documents):,} tasks, put in {time.perf_counter() - began:.1f} s")
    for name, body in searches(given.tasks).items():
        sent, times = orjson.dumps(body), []
        rounds = given.rounds if name.startswith("page") else max(3, given.rounds // 20)
        for _ in range(rounds):
            began = time.perf_counter()
            answer = search_documents(parse_search(orjson.loads(sent)), documents, TASKS, "tasks", NOW)
            orjson.dumps(answer)
            times.append((time.perf_counter() - began) * 1000)
        print(f"  {name:36} median {statistics.median(times):8.2f} ms   worst {max(times):8.2f} ms")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
