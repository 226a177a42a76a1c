"""What sources report of their records: events for the control topic, when there is news, and not too often."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.command import SourceReport
from streams.ingest.source import RunSource, Source

EVERY = 10.0
"""Seconds between two reports of one source and run: each is a record that the coordinator has to take in."""


class SourceReports:
    """Remembers what was reported, and when."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._reported: dict[RunSource, tuple[SourceReport, float]] = {}

    def due(self, sources: Iterable[Source], now: float) -> list[SourceReport]:
        """The reports to send at the monotonic time ``now``, which count as sent."""
        before, self._reported = self._reported, {}
        reports = []
        for source in sources:
            for run in source.runs.values():
                report = self._report(source, run)
                known, at = before.get(run, (self._nothing(report), now - EVERY))
                if report != known and now - at >= EVERY:
                    reports.append(report)
                    known, at = report, now
                self._reported[run] = known, at
        return reports

    def _report(self, source: Source, run: RunSource) -> SourceReport:
        return SourceReport(
            detector_id=run.plan.detector_id,
            run=run.plan.run,
            topic=source.topic,
            partition=source.partition,
            node_id=self._node_id,
            epoch=source.share.epoch,
            late=run.windows.late,
            unread=run.unread,
            dead_letters=dict(run.dead_letters),
            note=run.note,
        )

    @staticmethod
    def _nothing(report: SourceReport) -> SourceReport:
        """What everybody knows of a source that has not reported."""
        return SourceReport(
            detector_id=report.detector_id,
            run=report.run,
            topic=report.topic,
            partition=report.partition,
            node_id=report.node_id,
            epoch=report.epoch,
        )
