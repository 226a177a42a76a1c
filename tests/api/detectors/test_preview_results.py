"""What a preview keeps of its results."""

from __future__ import annotations

from api.detectors.preview_results import ROOM, PreviewResults
from schemas.result import Result
from schemas.task import EntityValue


def result(host: str | None, minute: int, error: str | None = None) -> Result:
    start = minute * 60_000
    entity = None if host is None else [EntityValue("host", host)]
    id = f"{host}|{minute}"
    return Result(
        id=id, detector_id="preview-1", data_start_time=start, data_end_time=start + 60_000, entity=entity, error=error
    )


def shown(results: PreviewResults) -> list[str]:
    return [each.id for each in results.shown()]


def test_the_largest_entities_by_time_each_window_once() -> None:
    results = PreviewResults(2, 5)
    for minute in range(4):
        for host, every in (("a", 2), ("b", 1), ("c", 4), ("d", 1)):
            if minute % every == 0:
                results.take(result(host, minute))
                results.take(result(host, minute))
    results.take(result("c", 9, "No data in current detection window"))
    assert shown(results) == ["b|0", "d|0", "b|1", "d|1", "b|2"]


def test_the_last_window_is_known_however_few_are_kept() -> None:
    results = PreviewResults(1, 3)
    assert results.last() == (0, None)
    for minute in range(50):
        results.take(result(None, minute))
    assert (len(results), shown(results)) == (3, ["None|0", "None|1", "None|2"])
    count, last = results.last()
    assert (count, last and last.id) == (50, "None|49")


def test_what_is_kept_does_not_grow_with_what_comes_in() -> None:
    results = PreviewResults(2, 1000)
    most = 0
    for minute in range(40):
        for host in range(1500):
            if minute % 2 == 0 or host in (700, 701):
                results.take(result(f"h{host}", minute))
        most = max(most, len(results))
    assert most <= ROOM
    assert shown(results) == [f"h{host}|{minute}" for minute in range(40) for host in (700, 701)]
