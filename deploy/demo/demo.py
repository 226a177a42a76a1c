"""``riverwatch demo``: real metrics through a real Kafka, anomalies as they are found."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.api_client.detector_document import detector_document
from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings
from deploy.command_line.times import utc
from deploy.demo.feed import Feed, create_topic
from deploy.demo.series import INTERVAL_MS, in_time_order, load
from deploy.demo.tally import Tally, windows
from deploy.errors import DeployError
from deploy.local_kafka.broker import free_port, port_is_free
from deploy.supervision.stack import Stack
from deploy.topics.results import ResultReader
from schemas.result import Result

ARCHIVE_TOPIC = "demo-metrics"
LIVE_TOPIC = "demo-live"
PARTITIONS = 2
TIMEOUT_SECONDS = 60.0
LIVE_BACKLOG = 300
"""Values of each series that are produced at once when the live part begins, so that models can learn."""

STRONGEST = '{"size": 3, "query": {"range": {"anomaly_grade": {"gt": 0}}}, "sort": [{"anomaly_grade": "desc"}]}'
CURL = """\
  curl -s '{url}/_plugins/_anomaly_detection/detectors/results/_search' \\
    -H 'Content-Type: application/json' -d '{query}'"""


def run(environment: Mapping[str, str], *, broker_port: int, api_port: int, once: bool, console: Console) -> None:
    """Run the demo until Ctrl-C, or with ``once`` to the end of the archive. Raises ``DeployError``."""
    with tempfile.TemporaryDirectory(prefix="riverwatch-demo-") as data:
        log = Path(data) / "riverwatch.log"
        settings = {
            # Its own Kafka and its own data: settings for another Riverwatch must not leak in.
            **{name: value for name, value in environment.items() if not name.startswith("RIVERWATCH_")},
            **({"RIVERWATCH_JAVA": environment["RIVERWATCH_JAVA"]} if "RIVERWATCH_JAVA" in environment else {}),
            "RIVERWATCH_DATA": data,
            # Eight models on one partition are scored together, eight on eight one at a time.
            "RIVERWATCH_MODEL_PARTITIONS": "1",
            "RIVERWATCH_API_PORT": str(_this_or_free(api_port, "API", console)),
        }
        broker_port = _this_or_free(broker_port, "Kafka", console)
        with log.open("w") as stream:

            def detail(line: str) -> None:
                stream.write(line + "\n")
                stream.flush()

            console.print("Starting Kafka, a worker and the API ...")
            stack = Stack(settings, workers=1, broker_port=broker_port, report=console.print, detail=detail)
            try:
                with stack:
                    demo = Demo(stack, console)
                    demo.archive()
                    if not once:
                        demo.live()
            except DeployError as error:
                lines = log.read_text().splitlines()[-20:]
                if not lines:
                    raise
                raise type(error)("\n".join([str(error), "The last lines of the log:", *lines])) from error


def _this_or_free(port: int, what: str, console: Console) -> int:
    if port_is_free(port):
        return port
    other = free_port()
    console.print(f"Port {port} is taken; {what} takes {other}")
    return other


class Demo:
    """The two parts of the demo on a running stack."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._client: dict[str, Any] = stack.settings.client()
        self._series = load()

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    def archive(self) -> None:
        """Produce two weeks of all series as fast as possible; print the anomalies and a summary."""
        # Moved so that the last values lie at the very end of the last complete window: recent enough for their source
        # to count as live, so that this window closes without waiting for more.
        last = int(time.time() * 1000) // INTERVAL_MS * INTERVAL_MS - 1000
        series = [each.ending_at(last) for each in self._series]
        rows = list(in_time_order(series))
        expected = windows(series, INTERVAL_MS)
        self._print(
            f"Ready. Feeding {len(rows):,} rows: two weeks of {len(series)} metrics of real servers, moved to now."
        )
        create_topic(self._client, ARCHIVE_TOPIC, PARTITIONS)
        reader = ResultReader(self._client, self._stack.settings.topic("results"), from_beginning=True)
        tally = Tally(series)
        began = time.monotonic()
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        ) as progress:
            sent = progress.add_task("rows sent", total=len(rows))
            seen = progress.add_task("results", total=expected)
            feed = Feed(self._client, ARCHIVE_TOPIC)
            for number, batch in enumerate(_batches(rows, 2000)):
                feed.send(batch)
                if number == 0:
                    # After the first rows: a detector on an empty topic is refused, since its name may be misspelt.
                    feed.flush()
                    self._start_detector("demo", ARCHIVE_TOPIC, "5m", "Metrics of real servers")
                self._take(reader, tally)
                progress.update(sent, completed=feed.confirmed)
                progress.update(seen, completed=tally.results)
            feed.flush()
            progress.update(sent, completed=feed.confirmed)
            latest = time.monotonic()
            while not tally.is_complete():
                if self._take(reader, tally):
                    latest = time.monotonic()
                progress.update(seen, completed=tally.results)
                if time.monotonic() - latest > TIMEOUT_SECONDS:
                    raise DeployError(
                        f"no result for {TIMEOUT_SECONDS:.0f} s: only {tally.results} of {expected} have arrived"
                    )
        took = time.monotonic() - began
        reader.close()
        self._summary(tally, len(rows), expected, took)

    def live(self) -> None:
        """Produce one value a second of each series for a second detector, until interrupted."""
        create_topic(self._client, LIVE_TOPIC, PARTITIONS)
        reader = ResultReader(self._client, self._stack.settings.topic("results"), from_beginning=False)
        feed = Feed(self._client, LIVE_TOPIC)
        begin = int(time.time()) - LIVE_BACKLOG
        tally = Tally([each.paced(begin * 1000, 1000) for each in self._series])
        seconds = itertools.count(begin)
        for second in itertools.islice(seconds, LIVE_BACKLOG):
            feed.send(self._second(second, begin))
        feed.flush()
        self._start_detector("demo-live", LIVE_TOPIC, "1s", "The same metrics, one value a second")
        self._print(
            f"\nNow live: one value of each metric a second (the first {LIVE_BACKLOG} at once, to learn from)."
            " Stop with Ctrl-C."
        )
        for second in seconds:
            feed.send(self._second(second, begin))
            while time.time() < second + 1:
                self._take(reader, tally)

    def _second(self, second: int, begin: int) -> Iterator[tuple[int, str, float]]:
        for each in self._series:
            yield second * 1000, each.name, each.values[(second - begin) % len(each.values)]

    def _start_detector(self, name: str, topic: str, interval: str, description: str) -> None:
        document = detector_document(
            topics=[topic],
            time_field="time",
            features=["value=avg:value"],
            interval=interval,
            by=["series"],
            name=name,
            description=description,
        )
        with DetectorsApi(ClientSettings(url=self._stack.api_url), patience=60.0) as api:
            api.start(api.create(document), "earliest")

    def _take(self, reader: ResultReader, tally: Tally) -> bool:
        """Count results that have arrived and print anomalies; whether there were any results."""
        self._stack.restart_dead()
        results = reader.poll(0.05)
        for result, _bytes in results:
            in_label = tally.add(result)
            if in_label is None:
                continue
            mark = "[red]●[/red]" if in_label else "[yellow]○[/yellow]"
            self._print(f"{mark} {anomaly_line(result)}")
        return bool(results)

    def _summary(self, tally: Tally, rows: int, expected: int, took: float) -> None:
        self._print("\n[bold]Done[/bold]  (● in a window that the data's authors labelled anomalous, ○ elsewhere)")
        self._print(f"  rows             {rows:,} in {took:.1f} s: {rows / took:,.0f} rows/s, including every result")
        self._print(f"  results          {tally.results:,} of {expected:,} windows")
        self._print(f"  anomalies        {tally.anomalies}, {tally.marked} of them in labelled windows")
        self._print(f"  labelled windows {tally.labels_hit} of {tally.labels} hit")
        self._print(f"\nThe API is at {self._stack.api_url}. The three strongest anomalies:")
        self._print(CURL.format(url=self._stack.api_url, query=STRONGEST))


def anomaly_line(result: Result) -> str:
    """One line on an anomaly: end of its window (UTC), series, value and grade."""
    series = result.entity[0].value if result.entity else ""
    value = result.feature_data[0].data if result.feature_data else 0.0
    return f"{utc(result.data_end_time)}  {series:<34}  value {value:>12.6g}  grade {result.anomaly_grade:.2f}"


def _batches(rows: list[tuple[int, str, float]], size: int) -> Iterator[list[tuple[int, str, float]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
