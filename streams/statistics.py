"""What a worker says about itself: its statistics, and the progress of the runs whose models it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from schemas.command import Progress, encode_event
from schemas.node import MODELS_SHOWN, Model, Node, RunStatistics, encode_node
from schemas.task import ROWS_TO_INIT
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.ingest.agent import Ingest
from streams.ingest.source import RunSource
from streams.ingest.windows import RunWindows
from streams.kafka.clock import KafkaClock
from streams.kafka.outbox import Outbox
from streams.kafka.unreadable import Unreadable
from streams.scan.agent import Scans
from streams.score.agent import Score
from streams.score.documents import entity_document, model_id
from streams.score.partition import RunScore
from streams.settings import Settings

NOTE_SECONDS = 10.0
"""Seconds between two reports of a note that changes, such as a count: the coordinator takes in each of them."""


class Statistics:
    """Writes this worker's record to the topic ``nodes``, and progress to ``control`` when it changed."""

    def __init__(
        self,
        settings: Settings,
        detectors: Detectors,
        outbox: Outbox,
        ingest: Ingest,
        score: Score,
        scans: Scans,
        dead_letters: DeadLetters,
        unreadable: Unreadable,
        clock: KafkaClock,
    ) -> None:
        self._settings = settings
        self._detectors = detectors
        self._outbox = outbox
        self._ingest = ingest
        self._score = score
        self._scans = scans
        self._dead_letters = dead_letters
        self._unreadable = unreadable
        self._clock = clock
        self._started = clock.now()
        # By owner, run and model partition, of what this worker holds: what was reported, and when (monotonic).
        self._reported: dict[tuple[str, int, int], tuple[int, str, float]] = {}

    async def write(self) -> None:
        """Write what there is to say now."""
        await self._outbox.send(
            self._settings.topic("nodes"),
            encode_node(self._node(self._clock.now())),
            key=self._settings.node_id,
            on_delivery=self._clock.on_delivery(),
        )
        held = {
            (owner, run.running.plan.run, partition.number): run
            for partition in self._score.partitions
            for owner, run in partition.runs.items()
        }
        self._reported = {key: reported for key, reported in self._reported.items() if key in held}
        for key, run in held.items():
            await self._progress(key, run)

    async def _progress(self, key: tuple[str, int, int], run: RunScore) -> None:
        if run.models is None or run.historical:
            return
        plan, partition = run.running.plan, key[2]
        rows, note, now = min(run.models.most_rows_seen(), ROWS_TO_INIT), run.note, self._clock.monotonic()
        if key not in self._reported and rows == 0 and partition > 0 and not note:
            return
        rows_before, note_before, at = self._reported.get(key, (-1, "", -NOTE_SECONDS))
        if rows == rows_before and (note == note_before or now - at < NOTE_SECONDS):
            return
        self._reported[key] = rows, note, now
        event = Progress(
            detector_id=plan.detector_id,
            run=plan.run,
            partition=partition,
            rows=rows,
            node_id=self._settings.node_id,
            error=note,
        )
        await self._outbox.send(self._settings.topic("control"), encode_event(event), key=plan.detector_id)

    def _node(self, now: int) -> Node:
        counts = self._score.counts
        runs = [run for partition in self._score.partitions for run in partition.runs.values()]
        live = [run for run in runs if not run.historical]
        return Node(
            node_id=self._settings.node_id,
            time=now,
            started=self._started,
            ad_execute_request_count=counts.windows,
            ad_execute_failure_count=0,
            ad_hc_execute_request_count=counts.windows_hc,
            ad_hc_execute_failure_count=0,
            ad_executing_batch_task_count=len({work.scan.task_id for work in self._scans.under_way}),
            ad_canceled_batch_task_count=len(self._scans.counts.cancelled),
            ad_total_batch_task_execution_count=len(self._scans.counts.begun),
            ad_batch_task_failure_count=len(self._scans.counts.failed),
            ad_model_corruption_count=counts.corrupt_models,
            model_count=sum(len(run.models) for run in runs if run.models is not None),
            models=self._models(live),
            runs=self._runs(live, now),
            dead_letters=self._dead_letters.counts,
            unreadable=dict(self._unreadable.counts),
            clock_skew_ms=self._clock.skew_ms,
        )

    def _models(self, runs: list[RunScore]) -> list[Model]:
        shown: list[Model] = []
        for run in runs:
            models, plan = run.models, run.running.plan
            for row, entity in models.rows_of(MODELS_SHOWN - len(shown)) if models is not None else ():
                assert models is not None
                shown.append(
                    Model(
                        detector_id=plan.detector_id,
                        model_id=model_id(plan, entity),
                        model_type="entity" if plan.categories else "rcf",
                        last_used_time=int(models.used_at[row]),
                        last_checkpoint_time=int(models.checkpoint_at[row]),
                        entity=entity_document(plan, entity),
                    )
                )
        return shown

    def _runs(self, runs: list[RunScore], now: int) -> list[RunStatistics]:
        by_owner: dict[str, list[RunScore]] = {}
        for run in runs:
            by_owner.setdefault(run.running.plan.owner, []).append(run)
        statistics = []
        for owner, shares in by_owner.items():
            plan = shares[0].running.plan
            models = [share.models for share in shares if share.models is not None]
            watermarks = [windows.watermark for windows in self._windows(owner)]
            recent = now - max(2 * plan.interval_ms, 60_000)
            statistics.append(
                RunStatistics(
                    detector_id=plan.detector_id,
                    run=plan.run,
                    entities=sum(model.total for model in models),
                    active_entities=sum(model.active_since(recent) for model in models),
                    rows=max((model.most_rows_seen() for model in models), default=0),
                    model_bytes=sum(len(model) * model.bytes_per_model for model in models),
                    late_records=sum(windows.late for windows in self._windows(owner))
                    + sum(share.merge.late.total() for share in shares),
                    records=sum(windows.records for windows in self._windows(owner)),
                    window_delay_ms=max((watermark.allowed for watermark in watermarks), default=plan.delay_ms or 0),
                    window_delay_auto=plan.delay_ms is None,
                    dead_letters=dict(_sum(share.dead_letters for share in self._shares(owner))),
                    counts=dict(_sum(share.counts for share in self._shares(owner))),
                    scored_until=max((share.merge.scored_until for share in shares), default=0),
                )
            )
        return statistics

    def _windows(self, owner: str) -> list[RunWindows]:
        return [share.windows for share in self._shares(owner)]

    def _shares(self, owner: str) -> list[RunSource]:
        return [source.runs[owner] for source in self._ingest.sources if owner in source.runs]


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())
