"""Nobody waits for what others ask of a hundred thousand tasks: the event loop does not touch them one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.detectors.catalog import StoredDocument
from tests.api.conftest import RunningApi
from tests.api.results.test_routes import create
from tests.deadlines import EVENT

TASKS = 100_000
LOOKED: set[int] = set()
"""The threads in which somebody asked a task for its place in the order."""


@dataclass(frozen=True)
class Watched:
    """A task that notes in which thread it is sorted."""

    id: str
    version: int
    number: int
    source: dict[str, Any]

    @property
    def seq_no(self) -> int:
        """When it was last written."""
        LOOKED.add(threading.get_ident())
        return self.number


@pytest.fixture(scope="module")
def parent(api: RunningApi) -> Iterator[str]:
    """The id of an analysis with a hundred thousand entity tasks, among as many others."""
    id, tasks = create(api), api.process.catalog.tasks
    assert api.call("POST", f"/detectors/{id}/_start").status_code == 200
    source = {"task_type": "HISTORICAL_HC_ENTITY", "detector_id": id, "state": "RUNNING", "parent_task_id": "parent"}
    others = {**source, "parent_task_id": "another", "detector_id": "x"}
    for number in range(TASKS):
        entity = [{"name": "host", "value": f"h{number}"}]
        tasks.put(Watched(f"e{number}", 1, number, {**source, "entity": entity}))  # type: ignore[arg-type]
    for number in range(1000):
        tasks.put(StoredDocument(f"o{number}", 1, number, others))
    whole = {**source, "task_type": "HISTORICAL_HC_DETECTOR", "is_latest": True, "execution_start_time": 1}
    del whole["parent_task_id"]
    tasks.put(StoredDocument("parent", 1, TASKS, whole))
    api.process.catalog._parents.setdefault(id, set()).add("parent")
    yield id
    for task in list(tasks):
        tasks.delete(task.id)


def loop_of(api: RunningApi) -> int:
    """The thread of the API's event loop."""

    async def here() -> int:
        return threading.get_ident()

    loop = api.process.documents._loop
    assert loop is not None
    return asyncio.run_coroutine_threadsafe(here(), loop).result(EVENT)


SEARCH = {"query": {"term": {"state": "RUNNING"}}, "sort": [{"execution_start_time": "desc"}], "size": 10}


def asked(api: RunningApi, path: str, body: object) -> tuple[httpx.Response, int]:
    """The answer to a slow question, and how often the API answered somebody else meanwhile."""
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(api.call("POST", path, body)))
    slow.start()
    others = 0
    while slow.is_alive():
        assert api.client.get("/_health").status_code == 200
        others += slow.is_alive()
    return answers[0], others


@pytest.mark.parametrize("what", ["search", "profile"])
def test_a_hundred_thousand_tasks_are_not_sorted_in_the_event_loop(api: RunningApi, parent: str, what: str) -> None:
    LOOKED.clear()
    if what == "search":
        answer, others = asked(api, "/detectors/tasks/_search", SEARCH)
        assert answer.json()["hits"]["total"] == {"value": 10_000, "relation": "gte"}
    else:
        answer, others = asked(api, f"/detectors/{parent}/_profile/ad_task", None)
        assert answer.json()["ad_task"]["total_entities_count"] == TASKS
    assert answer.status_code == 200
    assert LOOKED
    assert loop_of(api) not in LOOKED
    assert others >= 1
