"""What the tests of this folder need: a detector over rows, and its results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from deploy.api_client.detector_document import detector_document
from deploy.offline.fields import Fields
from deploy.offline.run import FileRun, detector_of

NOON = 1_704_110_400_000
"""1 January 2024, 12:00 UTC."""


def fields(features: Sequence[str], by: Sequence[str] = ()) -> Fields:
    """The time field ``t``, and those of features as ``KIND:FIELD``."""
    return Fields("t", tuple(by), tuple(each.partition(":")[2] for each in features))


def file_run(
    rows: Iterable[bytes],
    features: Sequence[str],
    *,
    by: Sequence[str] = (),
    interval: str | None = None,
    delay: str | None = None,
    where: str | None = None,
) -> FileRun:
    """A run over rows."""
    document = detector_document(
        topics=["file"],
        name="detect",
        time_field="t",
        features=features,
        by=by,
        interval=interval or "1s",
        delay=delay,
        where=where,
    )
    detector = detector_of({**document, "model": {"seed": 7}})
    return FileRun(detector, rows, fields(features, by), find_interval=interval is None)


def results(run: FileRun) -> list[dict[str, Any]]:
    """All result documents of a run."""
    return [msgspec.to_builtins(result) for step in run.results() for result in step]


def windows(run: FileRun) -> dict[tuple[int, str], dict[str, float]]:
    """By the end of the window and the entity, the values of the features."""
    return {
        (each["data_end_time"], ",".join(one["value"] for one in each.get("entity", ()))): {
            value["feature_name"]: value["data"] for value in each.get("feature_data", ())
        }
        for each in results(run)
    }


def encoded(*records: dict[str, Any]) -> list[bytes]:
    """Records as rows."""
    return [msgspec.json.encode(record) for record in records]
