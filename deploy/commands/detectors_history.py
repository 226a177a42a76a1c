"""``riverwatch detectors history``: analyse the past of a detector's topics."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from deploy.api_client.analysis import Analysis
from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings, api_options
from deploy.command_line.times import parse_range

POLL_SECONDS = 0.5


class _Interrupt:
    """Notes Ctrl-C. As an exception it would break off a request whose answer is still wanted."""

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> _Interrupt:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.received = True


@click.command("history")
@click.argument("detector")
@click.option("--from", "begin", required=True, metavar="TIME", help="Epoch ms, ISO 8601 (UTC), now, or -6h.")
@click.option("--to", "end", default="now", show_default=True, metavar="TIME", help="The same; not included.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, about two a second.")
@api_options
def history_command(detector: str, begin: str, end: str, as_json: bool, client: ClientSettings) -> None:
    """Analyse the records between two times for DETECTOR (an id or a name) and show the progress.

    Workers do the work; this command starts it and watches. Ctrl-C asks whether to stop the analysis, too; it goes on
    unless the answer is yes. Exit code 0 when it has finished or was stopped here, 1 when it failed.
    """
    start_ms, end_ms = parse_range(begin, end)
    with DetectorsApi(client) as api:
        detector_id = api.find(detector)
        analysis = Analysis(api.analyse(detector_id, start_ms, end_ms))
        started = time.monotonic()
        with _Interrupt() as interrupt:
            (_print if as_json else _show)(api, analysis, started, interrupt)
        if interrupt.received and not analysis.ended:
            _interrupted(api, analysis, detector_id)
            return
        if not as_json:
            click.echo(_summary(analysis, time.monotonic() - started))
        if analysis.state == "FAILED":
            sys.exit(1)


def _print(api: DetectorsApi, analysis: Analysis, started: float, interrupt: _Interrupt) -> None:
    while not (analysis.ended or interrupt.received):
        time.sleep(POLL_SECONDS)
        analysis.refresh(api)
        click.echo(json.dumps(analysis.document(time.monotonic() - started)))


def _show(api: DetectorsApi, analysis: Analysis, _started: float, interrupt: _Interrupt) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bars, counts = Progress(*columns, expand=True), Text()  # two lines: in one, 80 columns would cut off the time left
    bar = bars.add_task(analysis.state, total=1.0)
    with Live(Group(bars, counts), console=Console(stderr=True), transient=True):
        while not (analysis.ended or interrupt.received):
            time.sleep(POLL_SECONDS)
            analysis.refresh(api)
            bars.update(bar, completed=analysis.progress, description=analysis.state)
            counts.plain = f"{analysis.windows:,} windows, {analysis.anomalies:,} anomalies"


def _summary(analysis: Analysis, seconds: float) -> str:
    lines = [
        f"{analysis.state}  task {analysis.task_id}",
        f"  {analysis.entities:,} entities, {analysis.windows:,} windows, {analysis.anomalies:,} anomalies"
        f" in {seconds:.1f} s",
    ]
    return "\n".join([*lines, *([f"  {analysis.error}"] if analysis.error else [])])


def _interrupted(api: DetectorsApi, analysis: Analysis, detector_id: str) -> None:
    stop = False
    if sys.stdin.isatty():
        with suppress(click.Abort, KeyboardInterrupt):
            stop = click.confirm("\nStop the analysis?", default=False, err=True)
    if stop:
        api.stop(detector_id, historical=True)
        while not analysis.ended:
            time.sleep(POLL_SECONDS)
            analysis.refresh(api)
        click.echo(f"{analysis.state}  task {analysis.task_id}")
    else:
        click.echo(
            f"task {analysis.task_id} goes on; to stop it: riverwatch detectors stop --history {detector_id}", err=True
        )
