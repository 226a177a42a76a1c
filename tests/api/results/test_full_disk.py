"""A results store whose disk is full, or that may not be written: told, waited for, and never taken for damage.

What stands for the full disk is the size that the system allows a file of this process to have.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from api.results.store import ResultsStore
from api.results.store_file import StoreUnusable
from schemas.result import encode_result
from tests.api.conftest import RunningApi, minute_records
from tests.api.results.records import ask, ids, records
from tests.api.results.records import result as stored
from tests.api.results.test_routes import create, result, search, total
from tests.deadlines import EVENT
from tests.processes import bound

FULL = 4096
"""Bytes that a file may have on the full disk: less than any store has."""

NO_CHECKPOINT = 200_000
"""Room for the store's log, and for no block of the store itself."""


@contextmanager
def full_disk(size: int = FULL) -> Iterator[None]:
    """No file of this process grows beyond this size."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def many(start: int, count: int = 500) -> list[dict[str, object]]:
    return [stored(f"r{number:06}", error=os.urandom(40).hex()) for number in range(start, start + count)]


def test_a_store_goes_on_when_there_is_space_again(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    store.upsert(records(many(0)))
    with full_disk():
        for _ in range(3):
            with pytest.raises((duckdb.Error, OSError)):
                store.upsert(records(many(500), start=500))
    assert (store.count(), store.positions()) == (500, {0: 500})
    store.upsert(records(many(500), start=500))
    store.close()
    again = ResultsStore(tmp_path)
    assert (again.count(), again.positions()) == (1000, {0: 1000})
    again.close()


def test_a_store_that_the_database_gave_up_is_opened_anew(tmp_path: Path) -> None:
    """DuckDB answers nothing at all any more after a checkpoint that it could not write."""
    store = ResultsStore(tmp_path)
    store.upsert(records([*many(0), stored("analysis", task_id="t1")]))
    with full_disk(NO_CHECKPOINT), pytest.raises(duckdb.FatalException):
        store.drop_analyses(["t1"])
    assert store.count() == 500
    store.upsert(records(many(501, 10), start=501))
    assert store.positions() == {0: 511}
    assert ids(ask(store, {"query": {"ids": {"values": ["r000000", "r000510"]}}, "sort": ["_id"]})) == [
        "r000000",
        "r000510",
    ]
    store.close()


def test_who_follows_is_told_when_what_was_written_is_gone(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    store.upsert(records([*many(0), stored("analysis", task_id="t1")]))
    with full_disk(NO_CHECKPOINT), pytest.raises(duckdb.FatalException):
        store.drop_analyses(["t1"])
    for file in tmp_path.glob("*.duckdb*"):
        file.unlink()
    with pytest.raises(StoreUnusable, match="lost"):
        store.upsert(records(many(500), start=500))
    assert store.positions() == {}
    store.upsert(records(many(0)))
    assert store.count() == 500
    store.close()


def test_an_api_whose_disk_was_full_comes_back_with_every_result(api: RunningApi) -> None:
    id = create(api)
    topic = api.topics["results"]
    query = {"size": 0, "track_total_hits": True, "query": {"term": {"detector_id": id}}}

    def write(numbers: range) -> None:
        topic.produce_all([(b"k", encode_result(result(id, number, "h", 0.5))) for number in numbers], partition=0)

    with full_disk():
        write(range(300))
        for _ in range(1200):
            health = api.client.get("/_health")
            if health.status_code == 503:
                break
            time.sleep(0.05)
        assert (health.status_code, health.json()["status"]) == (503, "red")
        assert "the results store cannot be written now" in health.json()["reason"]
        assert os.strerror(27) in health.json()["reason"]
        refused = api.call("POST", "/detectors/results/_search", query)
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "service_unavailable_exception")
        # What needs no results goes on: detectors are made, started and stopped.
        assert api.call("GET", f"/detectors/{id}").status_code == 200
        assert api.call("POST", "/detectors", api.detector(api.source(minute_records()))).status_code == 201
        write(range(300, 400))
    for _ in range(1200):
        if api.client.get("/_health").status_code == 200:
            break
        time.sleep(0.05)
    assert api.client.get("/_health").status_code == 200
    assert total(search(api, query)) == 400


UNUSABLE = {
    "a folder in the place of the file": "Is a directory",
    "a file in the place of the folder": "File exists",
    "a file that may not be changed": "Operation not permitted",
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_store_that_cannot_be_used_is_told_in_one_line_and_left_alone(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "results"
    file = folder / "results.duckdb"
    if how.startswith("a folder"):
        file.mkdir(parents=True)
    elif how.startswith("a file in"):
        folder.write_text("something else")
    else:
        ResultsStore(folder).close()
        if subprocess.run(["chattr", "+i", str(file)], capture_output=True, check=False).returncode != 0:
            pytest.skip("no file can be made immutable here")
    try:
        done = subprocess.run(
            bound([sys.executable, "-m", "deploy.cli", "api", "--no-apply-topics", "--port", "0"]),
            env={**os.environ, "RIVERWATCH_DATA": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=EVENT,
            check=False,
        )
    finally:
        subprocess.run(["chattr", "-i", str(file)], capture_output=True, check=False)
    assert done.returncode == 7
    (line,) = done.stderr.splitlines()
    assert UNUSABLE[how] in line
    assert "set RIVERWATCH_DATA (--data) to another folder" in line
    assert file.exists() or folder.is_file()
