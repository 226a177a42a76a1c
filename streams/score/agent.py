"""The score agent: partials in; results, anomalies and model checkpoints out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from schemas.checkpoint import ModelCheckpoint
from schemas.entity import model_key
from schemas.errors import UNREADABLE
from schemas.partial import Partial, decode_partial
from schemas.result import Result, encode_result
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.fencing.fence import Held, Record
from streams.fencing.shares import Shares
from streams.kafka.clock import KafkaClock
from streams.kafka.outbox import Outbox
from streams.kafka.tp import TP
from streams.running import Running
from streams.score.limit import EntityLimit
from streams.score.merge import NO_LIMIT, Fences, RunMerge
from streams.score.models import FOREVER, DetectorModels, Int64Array, least_recently_used
from streams.score.partition import ModelPartition, RunScore
from streams.score.reports import Reports
from streams.score.store import deletions_of, fences_in, models_in, owners_in, share_of
from streams.settings import Settings
from streams.transport.ledger import Ledger

log = structlog.get_logger()

DAY_MS = 86_400_000

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
    sent, and every model that learned from them has been checkpointed since. ``open_shares`` opens the checkpoints of a
    model partition.
    """

    def __init__(
        self,
        settings: Settings,
        detectors: Detectors,
        outbox: Outbox,
        ledger: Ledger,
        *,
        clock: KafkaClock,
        open_shares: Callable[[int], Shares],
        dead_letters: DeadLetters,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._clock = clock
        self._open_shares = open_shares
        self._shares_of: dict[int, Shares] = {}
        self._saving = asyncio.Lock()
        self._dead_letters = dead_letters
        self._failed = failed
        self._settings = settings
        self._detectors = detectors
        self._outbox = outbox
        self._ledger = ledger
        self._partitions: dict[TP, ModelPartition] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._reports = Reports(settings, detectors, outbox, clock)
        self._backlog = 0
        self.counts = ScoreCounts()

    # -- where reading begins ---------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The model partitions that are ours from now on: where to begin reading."""
        for tp in self._partitions.keys() - committed.keys():
            self._drop(tp)
        for tp, offset in committed.items():
            held = self._partitions.get(tp)
            if held is not None and (offset or 0) > held.position:
                self._drop(tp)
        fresh = [tp for tp in committed if tp not in self._partitions]
        # Models are read back before records flow: a window must find the model that it belongs to.
        for partition in await asyncio.gather(*(self._taken_over(tp, committed[tp]) for tp in fresh)):
            owners = {owner for owner, running in self._detectors.scored.items() if running.task is None}
            partition.fences.update(fences_in(partition.share.held))
            found = await self._models_in(partition.share.held, owners)
            partition.share.forget_values()
            self._partitions[self._tp(partition)] = partition
            self._begin_runs(partition)
            for owner in owners:
                await self._load(partition, owner, found[owner])
        self._begin_all_runs()
        return {tp: self._partitions[tp].position for tp in committed}

    async def _taken_over(self, tp: TP, offset: int | None) -> ModelPartition:
        name = share_of(tp.partition)
        shares = await self._shares(tp.partition).take_over([name])
        return ModelPartition(tp.partition, offset or 0, shares[name])

    def _shares(self, partition: int) -> Shares:
        if partition not in self._shares_of:
            self._shares_of[partition] = self._open_shares(partition)
        return self._shares_of[partition]

    def _tp(self, partition: ModelPartition) -> TP:
        return TP(self._settings.topic("partials"), partition.number)

    def _drop(self, tp: TP) -> None:
        self._partitions.pop(tp, None)
        self._ledger.forget(tp)

    def _begin_all_runs(self) -> None:
        """Begin what is running and not begun yet."""
        for partition in self._partitions.values():
            to_load = self._begin_runs(partition)
            if to_load:
                task = asyncio.create_task(self._read_back(partition, to_load))
                self._loading.add(task)
                task.add_done_callback(self._loaded)

    def _begin_runs(self, partition: ModelPartition) -> set[str]:
        """Begin runs; the owners of those whose models have to be read back first."""
        to_load = set()
        stored: set[str] | None = None
        for owner, running in self._detectors.scored.items():
            before = partition.runs.get(owner)
            if before is not None and before.running.plan.run == running.plan.run:
                before.running = running
                before.merge.expect(running.sources)
                continue
            same = before is not None and _learns_the_same(before.running, running)
            models = before.models if before is not None and same else None
            if models is None and running.task is None:
                stored = owners_in(partition.share) if stored is None else stored
                if owner in stored:
                    to_load.add(owner)
            if models is None and owner not in to_load:
                models = self._new_models(running)
            partition.runs[owner] = self._new_run(running, models, partition.fences)
        return to_load

    def _new_run(self, running: Running, models: DetectorModels | None, fences: Fences) -> RunScore:
        columns, historical = running.plan.columns, running.task is not None
        limit = NO_LIMIT if historical else int(self._settings.trailing_limit * 1000)
        # A scan has an epoch of its own for the partition that it reads.
        known = {} if historical else dict(fences)
        merge = RunMerge(columns, running.sources, trailing_limit_ms=limit, fences=known)
        run = RunScore(running, merge, models)
        if historical:
            most = -(-self._settings.max_entities_per_task // self._settings.model_partitions)
            run.limit = EntityLimit(columns, most)
        return run

    def _new_models(self, running: Running) -> DetectorModels:
        days = self._settings.model_lifetime
        return DetectorModels(
            running.plan.owner,
            running.spec,
            checkpoint_windows=self._settings.model_checkpoint_windows,
            definition=running.plan.definition,
            lifetime_ms=int(days * DAY_MS) if days and running.task is None else FOREVER,
        )

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loading.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The run would wait for its models for ever.
            self._failed(error)

    async def _read_back(self, partition: ModelPartition, owners: Collection[str]) -> None:
        found = await self._models_in(await self._shares(partition.number).read(partition.share), owners)
        for owner in owners:
            await self._load(partition, owner, found[owner])

    async def _models_in(self, held: Mapping[str, Held], owners: Collection[str]) -> dict[str, list[ModelCheckpoint]]:
        found, unreadable = await asyncio.to_thread(models_in, held, owners)
        self.counts.corrupt_models += unreadable
        return found

    async def _load(self, partition: ModelPartition, owner: str, found: Sequence[ModelCheckpoint]) -> None:
        run = partition.runs.get(owner)
        if run is None or run.models is not None:
            return
        models = self._new_models(run.running)
        in_memory = sum(len(each) for _, each in self._held())
        run.models = models
        room = None if run.idle_models is None else self._settings.models_in_memory - in_memory
        others = models.load(found, room)
        if others:
            # The detector was changed while it was stopped, now or at an earlier time.
            run.anew = True
            log.warning("models begin anew", detector=owner, models=len(others))
            await self._shares(partition.number).write(deletions_of(partition.share, owner, others))
        if found:
            log.info("models read back", detector=owner, partition=partition.number, models=len(found) - len(others))

    # -- what runs --------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Follow the view of detectors: begin new runs, checkpoint and forget the models of what has stopped."""
        for partition in list(self._partitions.values()):
            for owner in partition.runs.keys() - self._detectors.scored.keys():
                run = partition.runs[owner]
                if run.historical:
                    await self._reports.ended(partition.number, run)
                elif owner in self._detectors.known and run.models is not None:
                    async with self._saving:
                        await self._save(partition, self._all_changed(partition, run.models))
                # What is left of a detector that was deleted goes with ``forget``.
                partition.runs.pop(owner, None)
        self._begin_all_runs()
        for tp, partition in self._partitions.items():
            waiting, partition.unknown = partition.unknown, {}
            for records in waiting.values():
                for partial, offset in records:
                    self._take(partition, partial, offset)
            await self._score(tp, partition, set(partition.runs))

    def _all_changed(self, partition: ModelPartition, models: DetectorModels) -> Callable[[int], list[Record]]:
        return lambda now: partition.changed(models, models.rows(), now)

    async def forget(self) -> None:
        """Delete the checkpoints of detectors that were deleted, and of entities that are gone."""
        async with self._saving:
            for partition in list(self._partitions.values()):
                safe = self._ledger.safe(self._tp(partition)) or 0
                async with partition.lock:
                    records = [*partition.expired(safe), *partition.of_deleted_detectors(self._detectors.known)]
                await self._shares(partition.number).write(records)

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
            partition.add(run, partial, offset)
            return True
        if not self._detectors.has_ended(partial.owner, partial.run):
            # Another worker has heard of this run before us.
            partition.unknown.setdefault((partial.owner, partial.run), []).append((partial, offset))
        return False

    async def _score(self, tp: TP, partition: ModelPartition, owners: set[str]) -> None:
        now = self._clock.now()
        for owner in owners:
            run = partition.runs.get(owner)
            # Analyses have a loop of their own: what lies behind their windows must not wait for them.
            if run is None or run.historical:
                continue
            # No snapshot of models between what they learn and the last of their results.
            async with partition.lock:
                before = run.merge.scored_until
                results = run.score(now, self._times(), self._settings.max_imputed_windows)
                if run.merge.scored_until > before:
                    self.counts.windows += 1
                    self.counts.windows_hc += bool(run.running.plan.categories)
                await self._send_results(tp, run, results)

    def _times(self) -> Iterator[int]:
        while True:
            yield self._clock.now()

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
        results = run.score(self._clock.now(), self._times(), self._settings.max_imputed_windows, SLICE)
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

    async def _save(self, partition: ModelPartition, snapshot: Callable[[int], list[Record]]) -> None:
        """Write what ``snapshot`` returns at a time (epoch ms), and confirm it. One is under way at a time."""
        try:
            # No snapshot of models between what they learn and the last of their results.
            async with partition.lock:
                records = snapshot(self._clock.now())
            if records:
                # What the models have seen counts as done after a crash: the results of it must have arrived before.
                await self._outbox.barrier()
                await self._shares(partition.number).write(records)
                await self._outbox.barrier()
        except BaseException:
            partition.abandon()
            raise
        partition.confirm()

    async def checkpoint(self, *, everything: bool = False) -> None:
        """Write the models that are due, and mark as safe what no longer needs to be read again."""
        interval = 0 if everything else int(self._settings.model_checkpoint_interval * 1000)
        async with self._saving:
            for partition in list(self._partitions.values()):
                await self._save(partition, functools.partial(partition.due, interval_ms=interval))
            await self._evict_idle()
            safe = {partition.number: (partition, partition.safe_offset()) for partition in self._partitions.values()}
            await self._outbox.barrier()
        for partition, offset in safe.values():
            tp = self._tp(partition)
            # One that was lost and came back meanwhile has its own story: what was written is not part of it.
            if offset is not None and self._partitions.get(tp) is partition:
                self._ledger.mark(tp, offset)

    def _held(self) -> list[tuple[ModelPartition, DetectorModels]]:
        """The models that may leave memory."""
        return [
            (partition, run.idle_models)
            for partition in self._partitions.values()
            for run in partition.runs.values()
            if run.idle_models is not None
        ]

    async def _evict_idle(self) -> None:
        """Take the models out of memory that were not used for longest, if there are too many."""
        held = self._held()
        chosen = least_recently_used([models for _, models in held], self._settings.models_in_memory)
        for (partition, models), rows in zip(held, chosen, strict=True):
            for start in range(0, len(rows), SLICE):
                some = rows[start : start + SLICE]
                await self._save(partition, functools.partial(_changed, partition, models, some))
                async with partition.lock:
                    run = partition.runs.get(models.owner)
                    if self._partitions.get(self._tp(partition)) is not partition or run is None:
                        break
                    if run.models is not models:
                        break
                    models.evict(some)
                await asyncio.sleep(0)

    @property
    def partitions(self) -> list[ModelPartition]:
        """The model partitions of this worker."""
        return list(self._partitions.values())


def _changed(partition: ModelPartition, models: DetectorModels, rows: Int64Array, now: int) -> list[Record]:
    return partition.changed(models, rows, now)


def _learns_the_same(before: Running, after: Running) -> bool:
    """Whether the models of one run can go on in the next one of the same detector."""
    return before.spec == after.spec and before.plan.definition == after.plan.definition
