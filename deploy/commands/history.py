"""``riverwatch history``: analyse the past of a detector's topics."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import click

from deploy.environment import kafka_options, overlay, read_settings

if TYPE_CHECKING:
    from deploy.history import Analyses, Progress

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

    Workers do it; this command starts it and watches. Ctrl-C asks whether the analysis shall stop, too: without an
    answer it goes on by itself. Exit code 0 when it has finished or was stopped here, 1 when it failed.
    """
    from deploy.history import Analyses, parse_time
    from streams.settings import Settings

    settings = read_settings(Settings, overlay(os.environ, brokers=brokers, prefix=prefix))
    now = int(time.time() * 1000)
    try:
        start_ms, end_ms = parse_time(begin, now), parse_time(end, now)
    except ValueError as error:
        raise click.UsageError(f"{error}: use epoch ms, ISO 8601, now, or -6h") from error
    analyses = Analyses(settings.client(), settings.prefix)
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
        if progress.task is None or progress.task.state == "FAILED":
            sys.exit(1)
    finally:
        analyses.close()


def _print(analyses: Analyses, progress: Progress, begun: float, interrupt: _Interrupt) -> None:
    while not (progress.over or interrupt.came):
        analyses.follow(progress, SHOWN_SECONDS)
        click.echo(json.dumps(progress.document(time.monotonic() - begun)))


def _show(analyses: Analyses, progress: Progress, begun: float, interrupt: _Interrupt) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("CREATED", total=1.0, counts="")
        while not (progress.over or interrupt.came):
            analyses.follow(progress, SHOWN_SECONDS)
            shown = progress.document(time.monotonic() - begun)
            counts = (
                f"{shown['records']:,} rows ({shown['records_per_second']:,}/s)"
                f"  {shown['windows']:,} windows  {shown['anomalies']:,} anomalies"
            )
            bars.update(bar, completed=progress.share, description=shown["state"], counts=counts)


def _summary(progress: Progress, seconds: float) -> str:
    shown = progress.document(seconds)
    lines = [
        f"{shown['state']}  task {progress.task_id}",
        f"  {shown['records']:,} rows in {seconds:.1f} s ({shown['records_per_second']:,}/s)",
        f"  {shown['entities']:,} entities, {shown['windows']:,} windows, {shown['anomalies']:,} anomalies",
    ]
    return "\n".join([*lines, *([f"  {shown['error']}"] if shown["error"] else [])])


def _interrupted(analyses: Analyses, progress: Progress, detector_id: str) -> None:
    stop = False
    if sys.stdin.isatty():
        with suppress(click.Abort, KeyboardInterrupt):
            stop = click.confirm("\nStop the analysis?", default=False, err=True)
    if stop:
        analyses.stop(detector_id)
        while not progress.over:
            analyses.follow(progress, SHOWN_SECONDS)
        click.echo(f"{progress.task.state if progress.task else ''}  task {progress.task_id}")
    else:
        click.echo(
            f"task {progress.task_id} goes on; POST .../detectors/{detector_id}/_stop?historical=true stops it",
            err=True,
        )
