"""The score agent: partials in; results, anomalies and model checkpoints out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from faust.types import TP

from schemas.checkpoint import ModelCheckpoint, decode_model, encode
from schemas.entity import model_key
from schemas.errors import UNREADABLE
from schemas.partial import Partial, decode_partial
from schemas.result import Result, encode_result
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors, Running
from streams.follower import read_to_end
from streams.outbox import Outbox
from streams.score.limit import EntityLimit
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels, least_recently_used
from streams.score.partition import ModelPartition, RunScore
from streams.score.reports import Reports
from streams.settings import Settings
from streams.transport.ledger import Ledger

log = structlog.get_logger()

SLICE = 500
"""Rows of an analysis scored, and models taken out of memory, in one go: live windows wait for so many at most."""


@dataclass
class ScoreCounts:
    """Counters of this process, as the stats routes show them."""

    windows: int = 0
    windows_hc: int = 0
    results: int = 0
    anomalies: int = 0
    corrupt_models: int = 0


class Score:
    """All model partitions of this worker. ``failed`` ends the worker: what was not confirmed is done again.

    An offset of a partials partition is safe when every window that its records contributed to has been scored and
    sent, and every model that learned from them has been checkpointed since.
    """

    def __init__(
        self,
        settings: Settings,
        detectors: Detectors,
        outbox: Outbox,
        ledger: Ledger,
        *,
        dead_letters: DeadLetters,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._dead_letters = dead_letters
        self._failed = failed
        self._settings = settings
        self._detectors = detectors
        self._outbox = outbox
        self._ledger = ledger
        self._partitions: dict[TP, ModelPartition] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._reports = Reports(settings, detectors, outbox)
        self._backlog = 0
        self.counts = ScoreCounts()

    # -- where reading begins ---------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The model partitions that are ours from now on: where to begin reading."""
        for tp in self._partitions.keys() - committed.keys():
            self._drop(tp)
        acquired = set()
        for tp, offset in committed.items():
            held = self._partitions.get(tp)
            if held is not None and (offset or 0) > held.position:
                self._drop(tp)
                held = None
            if held is None:
                self._partitions[tp] = ModelPartition(tp.partition, offset or 0)
                acquired.add(tp)
        self._begin_runs(acquired)
        # Models are read back before records flow: a window must find the model that it belongs to.
        await asyncio.gather(*self._loading)
        return {tp: self._partitions[tp].position for tp in committed}

    def _drop(self, tp: TP) -> None:
        self._partitions.pop(tp, None)
        self._ledger.forget(tp)

    def _begin_runs(self, acquired: Collection[TP] = ()) -> None:
        """Begin what is running and not begun yet. Of partitions just ``acquired`` somebody may have had models."""
        for tp, partition in self._partitions.items():
            to_load = []
            for owner, running in self._detectors.scored.items():
                run = partition.runs.get(owner)
                if run is not None and run.running.plan.run == running.plan.run:
                    run.running = running
                    run.merge.expect(running.sources)
                    continue
                models = run.models if run is not None and run.running.spec == running.spec else None
                if models is None and (running.task is not None or not (running.restarted or tp in acquired)):
                    models = self._new_models(running)
                if models is None:
                    to_load.append(owner)
                columns = running.plan.columns
                run = partition.runs[owner] = RunScore(running, RunMerge(columns, running.sources), models)
                if run.historical:
                    run.limit = EntityLimit(
                        columns, -(-self._settings.max_entities_per_task // self._settings.model_partitions)
                    )
            if to_load:
                task = asyncio.create_task(self._load(partition, frozenset(to_load)))
                self._loading.add(task)
                task.add_done_callback(self._loaded)

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loading.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The run would wait for its models for ever.
            self._failed(error)

    def _new_models(self, running: Running) -> DetectorModels:
        return DetectorModels(
            running.plan.owner, running.spec, checkpoint_windows=self._settings.model_checkpoint_windows
        )

    async def _load(self, partition: ModelPartition, owners: frozenset[str]) -> None:
        snapshots = await asyncio.to_thread(self._read_models, partition.number, owners)
        for owner in owners:
            run = partition.runs.get(owner)
            if run is None or run.models is not None:
                continue
            models, found = self._new_models(run.running), list(snapshots.get(owner, {}).values())
            in_memory = sum(len(each) for _, _, each in self._held())
            run.models = models
            room = None if run.idle_models is None else self._settings.models_in_memory - in_memory
            kept = models.load(found, room)
            if kept < len(found):
                # The detector's model was changed while it was stopped, now or at an earlier time.
                log.warning("models begin anew", detector=owner, models=len(found) - kept)
            log.info("models read back", detector=owner, partition=partition.number, models=kept)

    def _read_models(self, number: int, owners: frozenset[str]) -> dict[str, dict[str, ModelCheckpoint]]:
        found: dict[str, dict[str, ModelCheckpoint]] = {owner: {} for owner in owners}
        for message in read_to_end(self._settings, self._settings.topic("checkpoints"), [number]):
            owner, _, entity = (message.key() or b"").decode().partition("|")
            if owner not in found:
                continue
            if message.value() is None:
                found[owner].pop(entity, None)
                continue
            try:
                found[owner][entity] = decode_model(message.value())
            except UNREADABLE as error:
                self.counts.corrupt_models += 1
                log.error("model checkpoint not readable, the model begins anew", model=message.key(), error=error)
        return found

    # -- what runs --------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Follow the view of detectors: begin new runs, checkpoint and forget the models of what has stopped."""
        now = int(time.time() * 1000)
        scored = self._detectors.scored
        for tp, partition in list(self._partitions.items()):
            for owner in partition.runs.keys() - scored.keys():
                if partition.runs[owner].historical:
                    await self._reports.ended(partition.number, partition.runs[owner])
                elif owner in self._detectors.known:
                    async with partition.lock:
                        snapshots = partition.dirty(owner, now)
                    await self._save(tp, partition, snapshots)
                else:
                    # First, so that no checkpoint comes after the word that it is deleted.
                    await self._forget_models(tp, partition.runs.pop(owner))
                partition.runs.pop(owner, None)
        self._begin_runs()
        for tp, partition in self._partitions.items():
            waiting, partition.unknown = partition.unknown, {}
            for records in waiting.values():
                for partial, offset in records:
                    self._take(partition, partial, offset)
            await self._score(tp, partition, set(partition.runs))

    async def _save(self, tp: TP, partition: ModelPartition, snapshots: Sequence[ModelCheckpoint]) -> None:
        if not snapshots:
            return
        # What the models have seen counts as done after a crash: the results of it must have arrived before.
        await self._outbox.barrier()
        for snapshot in snapshots:
            if snapshot.owner in partition.runs and self._partitions.get(tp) is partition:
                await self._outbox.send(
                    self._settings.topic("checkpoints"),
                    encode(snapshot),
                    key=model_key(snapshot.owner, snapshot.entity),
                    partition=tp.partition,
                )

    async def _forget_models(self, tp: TP, run: RunScore) -> None:
        for entity in list(run.models.everyone()) if run.models is not None else ():
            await self._outbox.send(
                self._settings.topic("checkpoints"),
                None,
                key=model_key(run.running.plan.owner, entity),
                partition=tp.partition,
            )

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        partition = self._partitions.get(tp)
        return None if partition is None else partition.position

    # -- records ----------------------------------------------------------------------------------------------

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Take in one fetch of a partials partition and score what became final."""
        partition = self._partitions.get(tp)
        if partition is None:
            return
        touched = set()
        for record in records:
            if record.offset < partition.position or record.value is None:
                continue
            try:
                partial = decode_partial(record.value)
            except UNREADABLE as error:
                await self._dead_letters.reject(tp, record, "unreadable-record", str(error))
                continue
            if self._take(partition, partial, record.offset):
                touched.add(partial.owner)
        partition.position = max(partition.position, records[-1].offset + 1)
        await self._score(tp, partition, touched)

    def _take(self, partition: ModelPartition, partial: Partial, offset: int) -> bool:
        run = partition.runs.get(partial.owner)
        # What has stopped learns nothing more while its models are written.
        if run is not None and run.running.plan.run == partial.run and partial.owner in self._detectors.scored:
            run.add(partial, offset)
            return True
        if not self._detectors.has_ended(partial.owner, partial.run):
            # Another worker has heard of this run before us.
            partition.unknown.setdefault((partial.owner, partial.run), []).append((partial, offset))
        return False

    async def _score(self, tp: TP, partition: ModelPartition, owners: set[str]) -> None:
        now = int(time.time() * 1000)
        for owner in owners:
            run = partition.runs.get(owner)
            # Analyses have a loop of their own: what lies behind their windows must not wait for them.
            if run is None or run.historical:
                continue
            # No snapshot of models between what they learn and the last of their results.
            async with partition.lock:
                before = run.merge.scored_until
                results = run.score(now, _clock(), self._settings.max_imputed_windows)
                if run.merge.scored_until > before:
                    self.counts.windows += 1
                    self.counts.windows_hc += bool(run.running.plan.categories)
                await self._send_results(tp, run, results)

    async def _send_results(self, tp: TP, run: RunScore, results: Sequence[tuple[str, Result]]) -> None:
        for entity, result in results:
            value = encode_result(result)
            key = model_key(run.running.plan.owner, entity)
            await self._outbox.send(self._settings.topic("results"), value, key=key, partition=tp.partition)
            if isinstance(result.anomaly_grade, float) and result.anomaly_grade > 0:
                self.counts.anomalies += 1
                run.anomalies += 1
                await self._outbox.send(self._settings.topic("anomalies"), value, key=key, partition=tp.partition)
        self.counts.results += len(results)

    # -- historical analyses ----------------------------------------------------------------------------------

    async def analyse(self) -> None:
        """Score what is ready of the historical analyses, in slices between which live work has its turn."""
        more = True
        while more:
            more = False
            for tp, partition in list(self._partitions.items()):
                for run in [run for run in partition.runs.values() if run.historical]:
                    more |= await self._analyse(tp, partition, run)
        self._backlog = self._count_backlog()

    async def _analyse(self, tp: TP, partition: ModelPartition, run: RunScore) -> bool:
        before = run.merge.scored_until
        results = run.score(int(time.time() * 1000), _clock(), self._settings.max_imputed_windows, SLICE)
        await self._send_results(tp, run, results)
        await asyncio.sleep(0)
        if run.merge.scored_until > before:
            self._backlog = self._count_backlog()
            return True
        if run.done:
            await self._reports.done(partition.number, run)
        return False

    def _count_backlog(self) -> int:
        return sum(
            run.merge.backlog
            for partition in self._partitions.values()
            for run in partition.runs.values()
            if run.historical
        )

    def busy(self) -> bool:
        """Whether more rows of analyses wait here than should: whoever reads for them has to wait, too."""
        return self._backlog >= self._settings.scan_backlog

    async def report(self) -> None:
        """Say how far the analyses are."""
        for partition in list(self._partitions.values()):
            for run in [run for run in partition.runs.values() if run.historical]:
                await self._reports.tell(partition.number, run)

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def checkpoint(self, *, everything: bool = False) -> None:
        """Write the models that are due, and mark as safe what no longer needs to be read again."""
        now = int(time.time() * 1000)
        interval = 0 if everything else int(self._settings.model_checkpoint_interval * 1000)
        safe = {}
        for tp, partition in list(self._partitions.items()):
            async with partition.lock:
                snapshots = partition.due(now, interval)
            await self._save(tp, partition, snapshots)
        await self._shelve_idle(now)
        for tp, partition in list(self._partitions.items()):
            safe[tp] = partition.safe_offset()
        await self._outbox.barrier()
        for tp, offset in safe.items():
            if tp in self._partitions:
                self._ledger.mark(tp, offset)

    def _held(self) -> list[tuple[TP, ModelPartition, DetectorModels]]:
        """The models that may leave memory."""
        return [
            (tp, partition, run.idle_models)
            for tp, partition in self._partitions.items()
            for run in partition.runs.values()
            if run.idle_models is not None
        ]

    async def _shelve_idle(self, now: int) -> None:
        """Take the models out of memory that were not used for longest, if there are too many."""
        held = self._held()
        chosen = least_recently_used([models for _, _, models in held], self._settings.models_in_memory)
        for (tp, partition, models), rows in zip(held, chosen, strict=True):
            for start in range(0, len(rows), SLICE):
                async with partition.lock:
                    run = partition.runs.get(models.owner)
                    if self._partitions.get(tp) is not partition or run is None or run.models is not models:
                        break
                    snapshots = partition.shelve(models, rows[start : start + SLICE], now)
                await self._save(tp, partition, snapshots)
                await asyncio.sleep(0)

    @property
    def partitions(self) -> list[ModelPartition]:
        """The model partitions of this worker."""
        return list(self._partitions.values())


def _clock() -> Iterator[int]:
    while True:
        yield int(time.time() * 1000)
