"""From the records of a topic to batches for its runs, and dead letters for what can't be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from schemas.deadletter import DeadLetter
from schemas.record_format import RecordFormat
from streams.features.plan import Plan
from streams.formats.codecs import AnyFormat, codec_of
from streams.formats.written_schema import KnownSchemas, SchemasWanted
from streams.ingest.entities import EntityTable
from streams.ingest.isolate import Faults, isolate
from streams.ingest.layout import Layout
from streams.ingest.points import Origin, PointReader
from streams.ingest.run_decoder import RunDecoder
from streams.ingest.windows import Batch

_offset = attrgetter("offset")


@dataclass(frozen=True)
class Decoded:
    """A batch for each plan's owner, and what could not be used.

    ``counts`` has what does not count for an owner without being a dead letter: see ``RunDecoder.batch``.
    """

    batches: dict[str, Batch]
    dead_letters: list[DeadLetter]
    counts: dict[str, Counter[str]] = field(default_factory=dict)


class Decoder:
    """Decodes the records of one topic for all plans that read it. ``schemas`` are those that have been fetched.

    A record is a JSON object, an array of them (several points), or in another of the ``formats``. What one detector
    can't use may still be good for another: a wrong type costs the record only where the field is needed. ``tables``
    are the plans' entities.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        tables: Sequence[EntityTable],
        *,
        max_ahead_ms: int,
        schemas: KnownSchemas | None = None,
    ) -> None:
        self.plans = list(plans)
        self.tables = list(tables)
        self._faults = Faults()
        known = schemas or KnownSchemas()
        of_format: dict[tuple[RecordFormat | None, str | None], list[tuple[Plan, EntityTable]]] = {}
        for plan, table in zip(plans, tables, strict=True):
            of_format.setdefault((plan.format, plan.points), []).append((plan, table))
        self._groups: list[tuple[PointReader, list[RunDecoder]]] = []
        for (format_, points), members in of_format.items():
            layout = Layout([plan for plan, _ in members])
            codec = codec_of(format_ or "json", points, known)
            reader = PointReader(layout, codec, AnyFormat(known) if format_ is None and codec is None else None)
            runs = [RunDecoder(plan, table, layout, max(max_ahead_ms, plan.interval_ms)) for plan, table in members]
            self._groups.append((reader, runs))

    def decode(
        self,
        topic: str,
        partition: int,
        records: Sequence[Any],
        owners: Collection[str] | None = None,
    ) -> Decoded:
        """Decode one fetch: records have ``offset``, ``timestamp``, ``key`` and ``value``.

        With ``owners`` only for the plans of these. An event time may be ``max_ahead_ms`` ahead of the record's Kafka
        timestamp: no clock of ours has a say, so a record has the same outcome on every worker and in every replay.
        Raises ``SchemasWanted``, and has done nothing then.
        """
        origin = Origin(topic, partition, records)
        runs = [run for _, runs in self._groups for run in runs if owners is None or run.plan.owner in owners]
        for run in runs:
            run.table.renew()
        parts = isolate(
            records,
            lambda some: self._decode(replace(origin, records=some), runs),
            lambda record: self._alone(replace(origin, records=[record]), runs),
        )
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _decode(self, origin: Origin, runs: Sequence[RunDecoder]) -> Decoded:
        letters: list[DeadLetter] = []
        counts: dict[str, Counter[str]] = {run.plan.owner: Counter() for run in runs}
        batches: dict[str, Batch] = {}
        for reader, members in self._groups:
            wanted = [run for run in members if run in runs]
            if not wanted:
                continue
            unread: list[DeadLetter] = []
            points = reader.points(origin, unread)
            # What is no use to anybody names nobody; where others read the topic in another way, it is theirs alone.
            owners = [run.plan.owner for run in wanted] if len(self._groups) > 1 else ()
            letters += [letter.naming(owners, letter.detail) for letter in unread]
            for run in wanted:
                batches[run.plan.owner] = run.batch(points, letters, counts[run.plan.owner])
        return Decoded(batches, _merged(letters), counts)

    def _alone(self, origin: Origin, runs: Sequence[RunDecoder]) -> Decoded:
        """One record that nobody had thought of: a dead letter for the runs that it raises for, and only for these."""
        parts = []
        for run in runs:
            try:
                parts.append(self._decode(origin, [run]))
            except SchemasWanted:
                raise
            except Exception as error:
                self._faults.report(error, origin)
                detail = f"{type(error).__name__}: {error}"[:300]
                nothing = self._decode(replace(origin, records=[]), [run])
                parts.append(
                    replace(nothing, dead_letters=[origin.letter(0, "undecodable", detail, (run.plan.owner,))])
                )
        letters = _merged([letter for part in parts for letter in part.dead_letters])
        batches = {owner: batch for part in parts for owner, batch in part.batches.items()}
        counts = {owner: count for part in parts for owner, count in part.counts.items()}
        return Decoded(batches, letters, counts)


def _merged(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """One letter for each record and reason, by offset, that names all detectors and says what each has to say."""
    found: dict[tuple[int, str], DeadLetter] = {}
    for letter in sorted(letters, key=_offset):
        key = letter.offset, letter.reason
        known = found.get(key)
        if known is None:
            found[key] = letter
        else:
            names = dict.fromkeys((*known.detectors, *letter.detectors))
            details = dict.fromkeys((known.detail, letter.detail))
            found[key] = known.naming(names, "; ".join(details))
    return list(found.values())


def _joined(parts: Sequence[Decoded]) -> Decoded:
    batches = {owner: Batch.joined([part.batches[owner] for part in parts]) for owner in parts[0].batches}
    counts = {owner: sum((part.counts[owner] for part in parts), Counter()) for owner in parts[0].counts}
    return Decoded(batches, [letter for part in parts for letter in part.dead_letters], counts)
