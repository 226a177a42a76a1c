"""What must come out: one undisturbed pass over the data, without workers, commits, checkpoints or a clock."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from schemas.partial import decode_partial
from schemas.result import Result, decode_result
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import RunWindows
from streams.score.documents import result_documents
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels, Events
from tests.simulation.commands import disagreements
from tests.simulation.scenario import DATA, DETECTOR, MODEL_PARTITIONS, OUTLIER, PREFIX, Scenario, plan, spec

WALL_CLOCK = {"execution_start_time", "execution_end_time"}

Values = dict[str, Any]


def values(result: Result) -> Values:
    """What a replay must reproduce of a result."""
    return {name: getattr(result, name) for name in result.__struct_fields__ if name not in WALL_CLOCK}


def expected(scenario: Scenario) -> dict[str, Values]:
    """The results by id."""
    # Of a live topic nothing may be lost: its producers keep to the delay, but for outages, which cost nobody a record.
    mine = plan(scenario.kind.interval, 10_000 if scenario.kind.live else scenario.delay)
    merges = [
        RunMerge(mine.columns, [(DATA, number) for number in range(scenario.partitions)])
        for _ in range(MODEL_PARTITIONS)
    ]
    for number, partition in enumerate(scenario.world.log.topics[DATA]):
        windows = RunWindows(mine, EntityTable(mine), 0)
        decoder = Decoder([mine], [windows._table], max_ahead_ms=10**12)
        closed = []
        for record in partition.records:
            decoded = decoder.decode(DATA, number, [record])
            assert not decoded.dead_letters
            windows.fold(decoded.batches[mine.owner], record.offset + 1)
            closed += windows.close()
        closed += windows.close_all()
        for target, partial in windows.partials(DATA, number, closed, until=2**62, max_bytes=10**9):
            merges[target].add(partial, 0)
    found: dict[str, Values] = {}
    for merge in merges:
        final = merge.take()
        if not final:
            continue
        models = DetectorModels(mine.owner, spec(scenario.kind.interval, scenario.delay), checkpoint_windows=10**6)
        events = Events(
            [entity for window in final for entity in window.entities],
            np.repeat([window.end for window in final], [len(window.entities) for window in final]),
            np.concatenate([mine.feature_values(window.columns) for window in final]),
            np.zeros(sum(len(window.entities) for window in final), np.int64),
        )
        scored = models.score(1, events, 0)
        found.update((result.id, values(result)) for _, result in result_documents(mine, events, scored, 0, 0))
    return {key: values for key, values in found.items() if OUTLIER not in key}


class Comparison(NamedTuple):
    """What is wrong with the results, how many there must be, and how many rows lack records that were late.

    A result may be missing, too many, different from the reference, or not the same each time that it was written.
    """

    differences: list[str]
    results: int
    late: int


def compared(scenario: Scenario, wanted: dict[str, Values]) -> Comparison:
    """Compare what has come out with what must.

    Where a worker read what was held back in an outage of which it could not know, records may be late: no more than
    were told.
    """
    found: dict[str, Values] = {}
    wrong = [*scenario.failures, *disagreements(scenario.world, PREFIX)]
    lacking: list[str] = []
    for partition in scenario.world.log.topics[PREFIX + "results"]:
        for record in partition.records:
            result = decode_result(record.value or b"")
            if result.detector_id != DETECTOR or OUTLIER in result.id:
                continue
            got = values(result)
            if found.setdefault(result.id, got) != got:
                wrong.append(f"{result.id} was written again with other values: {_difference(found[result.id], got)}")
                found[result.id] = got
    for key in sorted(wanted.keys() | found.keys()):
        if key not in found:
            lacking.append(f"{key} is missing")
        elif key not in wanted:
            wrong.append(f"{key} must not be there")
        elif found[key] != wanted[key]:
            lacking.append(f"{key} is wrong: {_difference(wanted[key], found[key])}")
    letters = [record for part in scenario.world.log.topics[PREFIX + "deadletter"] for record in part.records]
    reasons = [dict(record.headers)["riverwatch.reason"] for record in letters]
    if good := [reason for reason in reasons if reason != b"refused-command"]:
        wrong.append(f"{len(good)} good records were dead-lettered: {good}")
    if scenario.unseen and len(lacking) <= _told(scenario):
        return Comparison(wrong, len(wanted), len(lacking))
    return Comparison(wrong + lacking, len(wanted), 0)


def _told(scenario: Scenario) -> int:
    """How many records were counted as late."""
    told: dict[int, int] = {}
    for record in scenario.world.log.topics[PREFIX + "partials"][0].records:
        partial = decode_partial(record.value or b"")
        if partial.owner != DETECTOR:
            continue
        told[partial.partition] = max(told.get(partial.partition, 0), partial.late)
    return sum(told.values())


def _difference(wanted: Values, got: Values) -> str:
    return ", ".join(f"{name} {wanted[name]!r} became {got[name]!r}" for name in wanted if wanted[name] != got[name])[
        :300
    ]
