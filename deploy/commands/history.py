"""``riverwatch history``: analyse the past of a detector's topics."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import click

from deploy.environment import kafka_options, overlay, read_settings

if TYPE_CHECKING:
    from deploy.analysis import A, Analyses, Analysis

SHOWN_SECONDS = 0.5


class _Interrupt:
    """Notes Ctrl-C. As an exception it would come in the middle of a read, and what was read would be lost."""

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> _Interrupt:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.came = True


@click.command("history")
@click.argument("detector")
@click.option("--from", "begin", required=True, metavar="TIME", help="Epoch ms, ISO 8601 (UTC), now, or -6h.")
@click.option("--to", "end", default="now", show_default=True, metavar="TIME", help="The same; not included.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, about two a second.")
@kafka_options
def command(detector: str, begin: str, end: str, as_json: bool, brokers: str | None, prefix: str | None) -> None:
    """Analyse the records between two times for DETECTOR (an id or a name) and show how it goes.

    Workers do it; this command starts it and watches, through Kafka alone (riverwatch detectors history does the same
    through the API). Ctrl-C asks whether the analysis shall stop, too: without an answer it goes on by itself. Exit
    code 0 when it has finished or was stopped here, 1 when it failed.
    """
    from deploy.history import TopicAnalyses
    from streams.settings import Settings

    settings = read_settings(Settings, overlay(os.environ, brokers=brokers, prefix=prefix))
    watch(lambda: TopicAnalyses(settings.client(), settings.prefix), detector, begin, end, as_json=as_json)


def watch(open_analyses: Callable[[], Analyses[A]], detector: str, begin: str, end: str, *, as_json: bool) -> None:
    """Start an analysis and show how it goes until it ends or Ctrl-C comes; exits with 1 when it failed."""
    from deploy.times import parse_time

    now = int(time.time() * 1000)
    try:
        start_ms, end_ms = parse_time(begin, now), parse_time(end, now)
    except ValueError as error:
        raise click.UsageError(f"{error}: use epoch ms, ISO 8601, now, or -6h") from error
    analyses = open_analyses()
    try:
        detector_id = analyses.find(detector)
        progress = analyses.start(detector_id, start_ms, end_ms)
        begun = time.monotonic()
        with _Interrupt() as interrupt:
            (_print if as_json else _show)(analyses, progress, begun, interrupt)
        if interrupt.came and not progress.over:
            _interrupted(analyses, progress, detector_id)
            return
        if not as_json:
            click.echo(_summary(progress, time.monotonic() - begun))
        if progress.state == "FAILED":
            sys.exit(1)
    finally:
        analyses.close()


def _print(analyses: Analyses[A], progress: A, begun: float, interrupt: _Interrupt) -> None:
    while not (progress.over or interrupt.came):
        analyses.follow(progress, SHOWN_SECONDS)
        click.echo(json.dumps(progress.document(time.monotonic() - begun)))


def _show(analyses: Analyses[A], progress: A, begun: float, interrupt: _Interrupt) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bars, counts = Bars(*columns, expand=True), Text()  # two lines: in one, 80 columns would cut off the time left
    bar = bars.add_task("CREATED", total=1.0)
    with Live(Group(bars, counts), console=Console(stderr=True), transient=True):
        while not (progress.over or interrupt.came):
            analyses.follow(progress, SHOWN_SECONDS)
            shown = progress.document(time.monotonic() - begun)
            bars.update(bar, completed=progress.share, description=progress.state)
            counts.plain = f"{progress.windows:,} windows, {progress.anomalies:,} anomalies"
            if progress.records is not None:
                counts.plain = f"{progress.records:,} rows ({shown['records_per_second']:,}/s), {counts.plain}"


def _summary(progress: Analysis, seconds: float) -> str:
    lines = [f"{progress.state}  task {progress.task_id}"]
    if progress.records is not None:
        rate = progress.document(seconds)["records_per_second"]
        lines.append(f"  {progress.records:,} rows in {seconds:.1f} s ({rate:,}/s)")
    lines.append(f"  {progress.entities:,} entities, {progress.windows:,} windows, {progress.anomalies:,} anomalies")
    return "\n".join([*lines, *([f"  {progress.error}"] if progress.error else [])])


def _interrupted(analyses: Analyses[A], progress: A, detector_id: str) -> None:
    stop = False
    if sys.stdin.isatty():
        with suppress(click.Abort, KeyboardInterrupt):
            stop = click.confirm("\nStop the analysis?", default=False, err=True)
    if stop:
        analyses.stop(detector_id)
        while not progress.over:
            analyses.follow(progress, SHOWN_SECONDS)
        click.echo(f"{progress.state}  task {progress.task_id}")
    else:
        click.echo(
            f"task {progress.task_id} goes on; riverwatch detectors stop --history {detector_id} stops it", err=True
        )
