"""What must come out: one undisturbed pass over the data, without workers, commits, checkpoints or a clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from schemas.detector import load_detector
from schemas.partial import Partial, decode_partial
from schemas.result import Result, decode_result
from schemas.state import Ledger, StoredTask, decode_state
from schemas.task import HISTORICAL_TYPES
from streams.features.plan import Plan
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import Batch, RunWindows
from streams.running import forest_spec
from streams.scan.range import RangeWindows
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

    def said() -> Iterator[tuple[int, Partial]]:
        for number, partition in enumerate(scenario.world.log.topics[DATA]):
            table = EntityTable(mine)
            windows, closed = RunWindows(mine, table, 0), []
            for batch, after in _decoded(mine, table, number, partition.records):
                windows.fold(batch, after)
                closed += windows.close()
            closed += windows.close_all()
            yield from windows.partials(DATA, number, closed, until=2**62, max_bytes=10**9)

    found = _scored(mine, spec(scenario.kind.interval, scenario.delay), range(scenario.partitions), said())
    return {key: values for key, values in found.items() if OUTLIER not in key}


def analysed(scenario: Scenario, task: StoredTask, ledger: Ledger) -> dict[str, Values]:
    """The results of an analysis, by id."""
    document, shares = task.document, ledger.scans[DATA]
    mine = replace(plan(scenario.kind.interval, scenario.delay), owner=task.id, detector_id=document.detector_id)
    bounds = document.detection_date_range
    assert bounds is not None

    def said() -> Iterator[tuple[int, Partial]]:
        for number, share in shares.items():
            table = EntityTable(mine)
            windows, closed = RangeWindows(mine, table, share.begin, bounds.start_time, bounds.end_time), []
            records = scenario.world.log.topics[DATA][number].since(share.begin)
            for batch, after in _decoded(
                mine, table, number, [record for record in records if record.offset < share.end]
            ):
                closed += windows.fold(batch, after)
            closed += windows.finish()
            yield from windows.partials(DATA, number, closed, epoch=0, finished=True, max_bytes=10**9)

    forest = forest_spec(document.detector_id, load_detector(document.detector or {}))
    return _scored(mine, forest, list(shares), said())


def _decoded(mine: Plan, table: EntityTable, number: int, records: Iterable[Any]) -> Iterator[tuple[Batch, int]]:
    decoder = Decoder([mine], [table], max_ahead_ms=10**12)
    for record in records:
        decoded = decoder.decode(DATA, number, [record])
        assert not decoded.dead_letters
        yield decoded.batches[mine.owner], record.offset + 1


def _scored(
    mine: Plan, forest: Any, partitions: Iterable[int], said: Iterable[tuple[int, Partial]]
) -> dict[str, Values]:
    merges = [RunMerge(mine.columns, [(DATA, number) for number in partitions]) for _ in range(MODEL_PARTITIONS)]
    for target, partial in said:
        merges[target].add(partial, 0)
    found: dict[str, Values] = {}
    for merge in merges:
        final = merge.take()
        if not final:
            continue
        models = DetectorModels(mine.owner, forest, checkpoint_windows=10**6)
        events = Events(
            [entity for window in final for entity in window.entities],
            np.repeat([window.end for window in final], [len(window.entities) for window in final]),
            np.concatenate([mine.feature_values(window.columns) for window in final]),
            np.zeros(sum(len(window.entities) for window in final), np.int64),
        )
        scored = models.score(1, events, 0)
        found.update((result.id, values(result)) for _, result in result_documents(mine, events, scored, 0, 0))
    return found


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
    analyses: dict[str, dict[str, Values]] = {}
    for partition in scenario.world.log.topics[PREFIX + "results"]:
        for record in partition.records:
            result = decode_result(record.value or b"")
            if OUTLIER in result.id or (result.task_id is None and result.detector_id != DETECTOR):
                continue
            of = found if result.task_id is None else analyses.setdefault(result.task_id, {})
            got = values(result)
            if of.setdefault(result.id, got) != got:
                wrong.append(f"{result.id} was written again with other values: {_difference(of[result.id], got)}")
                of[result.id] = got
    wrong += _wrong_analyses(scenario, analyses)
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


def _wrong_analyses(scenario: Scenario, found: dict[str, dict[str, Values]]) -> Iterator[str]:
    """What is wrong with the results of analyses: those of one that has finished are all there."""
    ledgers: dict[str, Ledger] = {}
    last: dict[str, StoredTask] = {}
    for record in scenario.world.log.topics[PREFIX + "state"][0].records:
        stored = None if record.value is None else decode_state(record.value)
        if isinstance(stored, StoredTask) and stored.document.task_type in HISTORICAL_TYPES:
            last[stored.id] = stored
            if stored.ledger is not None and stored.ledger.scans:
                ledgers.setdefault(stored.id, stored.ledger)
    for task_id, ledger in ledgers.items():
        got = found.get(task_id, {})
        wanted = {k: v for k, v in analysed(scenario, last[task_id], ledger).items() if OUTLIER not in k}
        task = last[task_id].document
        # These have read everything, too: so few windows train no model.
        whole = task.state == "FINISHED" or "not enough data" in (task.error or "")
        for key in sorted(got.keys() | wanted.keys() if whole else got):
            if got.get(key) != wanted.get(key):
                yield f"{key} of an analysis is {got.get(key)} and must be {wanted.get(key)}"[:400]


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
