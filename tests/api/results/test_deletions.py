"""Results that are deleted by one API process are deleted by all, and stay so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from api.process import ApiProcess
from api.settings import ApiSettings
from schemas.deletion import decode_deletion
from tests.api.conftest import AD, RunningApi, serving, wait_ready
from tests.api.results.test_routes import result, search, total, write
from tests.deadlines import REQUEST, eventually


@contextmanager
def another(api: RunningApi, data: Path) -> Iterator[httpx.Client]:
    """A second API process of the same Riverwatch, with a store of its own."""
    process = ApiProcess(ApiSettings(brokers=api.broker.bootstrap, prefix=api.prefix, data=data))
    with serving(process) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:
        wait_ready(client)
        yield client


def ends(client: httpx.Client, detector_id: str) -> list[int]:
    """The windows that a process has results of."""
    body = {"query": {"term": {"detector_id": detector_id}}, "sort": [{"data_end_time": "asc"}], "size": 100}
    hits = client.post(AD + "/detectors/results/_search", json=body).json()["hits"]["hits"]
    return [hit["_source"]["data_end_time"] // 60_000 for hit in hits]


def eventually_has(client: httpx.Client, detector_id: str, wanted: list[int]) -> None:
    eventually(f"{detector_id} has {wanted}", lambda: ends(client, detector_id) == wanted)


def test_all_processes_delete_and_new_ones_do_so_too(api: RunningApi, tmp_path: Path) -> None:
    write(api, [result("d", number, "h", 0.5) for number in range(6)])
    with another(api, tmp_path / "second") as second:
        eventually_has(second, "d", [1, 2, 3, 4, 5, 6])
        query = {"bool": {"filter": [{"term": {"detector_id": "d"}}, {"range": {"data_end_time": {"lte": 120_000}}}]}}
        assert api.call("DELETE", "/detectors/results", {"query": query}).json()["deleted"] == 2
        assert ends(api.client, "d") == [3, 4, 5, 6]
        eventually_has(second, "d", [3, 4, 5, 6])
        # What comes later is not meant, be it the same window.
        write(api, [result("d", 0, "h", 0.5)])
        eventually_has(second, "d", [1, 3, 4, 5, 6])
    with another(api, tmp_path / "built anew") as third:
        eventually_has(third, "d", [1, 3, 4, 5, 6])
    with another(api, tmp_path / "second") as again:
        eventually_has(again, "d", [1, 3, 4, 5, 6])
    (record,) = api.topics["deletions"].everything()
    assert decode_deletion(record.value() or b"").before.keys() == {0, 1}


def test_what_cannot_be_asked_is_not_written(api: RunningApi) -> None:
    before = len(api.topics["deletions"].everything())
    query = {"range": {"data_end_time": {"gte": "no date"}}}
    answer = api.call("DELETE", "/detectors/results", {"query": query})
    assert answer.status_code == 400
    assert len(api.topics["deletions"].everything()) == before
    api.topics["deletions"].produce(b"x", b"nonsense")
    assert total(search(api, {"size": 0})) > 0
    assert api.call("DELETE", "/detectors/results", {"query": {"match_none": {}}}).json()["deleted"] == 0
