from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partial import NO_WINDOW, Partial
from schemas.scan import decode_checkpoint, encode_checkpoint
from schemas.state import Run
from streams.features.plan import Plan
from streams.ingest.windows import Closed, RunWindows
from streams.running import Running, forest_spec
from streams.scan.range import RangeWindows
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels
from streams.score.partition import RunScore
from tests.schemas.documents import parsed
from tests.streams.ingest.plans import Record, decoder, plan, records, rows
from tests.streams.ingest.test_windows import cut

MAX_BYTES = 4_000_000
CUTS = st.sets(st.integers(1, 200), max_size=8).map(sorted)


class Scan:
    """A scan that reads batches as the agent does; what it says is in ``said``, one model partition."""

    def __init__(self, plan: Plan, start: int = 0, end: int = 10**9, partition: int = 0) -> None:
        self.decoder = decoder(plan)
        self.range = RangeWindows(plan, self.decoder.tables[0], 0, start, end)
        self.partition = partition
        self.closed: list[Closed] = []
        self.said: list[Partial] = []

    def read(self, batch: Sequence[Record]) -> None:
        batches = self.decoder.decode("m", self.partition, batch).batches
        self.say(self.range.fold(batches[self.range.plan.owner], batch[-1].offset + 1), finished=False)

    def finish(self) -> None:
        self.say(self.range.finish(), finished=True)

    def say(self, closed: list[Closed], *, finished: bool) -> None:
        self.closed += closed
        if closed or finished:
            said = self.range.partials("m", self.partition, closed, epoch=0, finished=finished, max_bytes=MAX_BYTES)
            self.said += [partial for _, partial in said]


def scanned(plan: Plan, points: list[dict[str, Any]], cuts: Sequence[int] = (), **bounds: int) -> Scan:
    """A scan of the points to its end."""
    scan = Scan(plan, **bounds)
    for batch in cut(records(points), cuts):
        scan.read(batch)
    scan.finish()
    return scan


def stream(seed: int, jitter: int, hosts: str = "ab") -> list[dict[str, Any]]:
    """Forty seconds and more of each host, records out of order by up to ``jitter`` ms."""
    dice = random.Random(seed)
    points = [
        {"t": second * 1000 + dice.randrange(1000), "host": host, "v": dice.gauss(0, 1) + 30 * (dice.random() < 0.02)}
        for second in range(60)
        for host in hosts
        if dice.random() < 0.95
    ]
    return sorted(points, key=lambda point: point["t"] + dice.randint(0, jitter))


# -- the same as in real time ---------------------------------------------------------------------------------


def scored(owner: str, document: dict[str, Any], said: Iterator[Partial]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What the scorer makes of partials: by entity and window end the values, the score and the grade."""
    running = running_of(owner, document)
    models = DetectorModels(owner, running.spec, checkpoint_windows=50)
    run = RunScore(running, RunMerge(running.plan.columns, running.sources), models)
    found = {}
    for offset, partial in enumerate(said):
        run.add(partial, offset)
        while results := run.score(0, itertools.count(), 0, most=7):
            for entity, result in results:
                assert (entity, result.data_end_time) not in found
                values = [feature.data for feature in result.feature_data or []]
                verdict = (result.anomaly_score, result.anomaly_grade, result.confidence, result.threshold)
                found[entity, result.data_end_time] = (values, *verdict)
    return found


def running_of(owner: str, document: dict[str, Any]) -> Running:
    detector = parsed(**document)
    run = Run(id=1, sources={"m": {0: 0, 1: 0}})
    plan = Plan.build(owner=owner, run=1, detector_id="d", detector=detector, partitions=1, most_delay_ms=60_000)
    return Running(detector, run, plan, forest_spec("d", detector))


def document(delay: int) -> dict[str, Any]:
    return {
        "time_field": "t",
        "category_field": ["host"],
        "detection_interval": {"period": {"interval": 1, "unit": "Seconds"}},
        "window_delay": {"period": {"interval": delay, "unit": "Seconds"}},
        "feature_attributes": [{"feature_name": "f", "aggregation_query": {"f": {"avg": {"field": "v"}}}}],
    }


def live(plan: Plan, partition: int, points: list[dict[str, Any]], cuts: Sequence[int]) -> list[Partial]:
    """What ingest says about the same records in real time."""
    read = decoder(plan)
    windows = RunWindows(plan, read.tables[0], 0)
    said = []
    for batch in cut(records(points), cuts):
        windows.fold(read.decode("m", partition, batch).batches[plan.owner], batch[-1].offset + 1)
        parts = [window.parts[0] for window in windows.close() if 0 in window.parts]
        said.append(
            Partial(
                owner=plan.owner, run=1, topic="m", partition=partition, closed_until=windows.closed_until, idle=False,
                finished=False, late=windows.late, records=windows.records, windows=parts,
            )
        )  # fmt: skip
    return said


@given(st.integers(0, 10_000), st.integers(0, 3000), st.integers(0, 3), CUTS, CUTS)
@settings(max_examples=10, deadline=None)
def test_an_analysis_comes_to_what_real_time_detection_comes_to(
    seed: int, jitter: int, delay: int, cuts: list[int], others: list[int]
) -> None:
    members = document(delay)
    points = [stream(seed, jitter, "ab"), stream(seed + 1, jitter, "bc")]
    now = running_of("d", members).plan
    then = running_of("task", members).plan
    said = [live(now, number, points[number], cuts) for number in (0, 1)]
    scans = [scanned(then, points[number], others, partition=number) for number in (0, 1)]
    wanted = scored("d", members, iter(itertools.chain(*said)))
    got = scored("task", members, iter(itertools.chain(*(scan.said for scan in scans))))
    until = max(end for _, end in wanted)
    assert {key: value for key, value in got.items() if key[1] <= until} == wanted
    assert len(wanted) > 32
    assert [partials[-1].late for partials in said] == [scan.said[-1].late for scan in scans]


# -- order ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.randoms(use_true_random=False), CUTS)
@settings(max_examples=10, deadline=None)
def test_any_order_within_the_window_delay_gives_the_same_windows(
    seed: int, dice: random.Random, cuts: list[int]
) -> None:
    patient = plan(window_delay={"period": {"interval": 100, "unit": "Seconds"}})
    points = [{**point, "v": round(point["v"])} for point in stream(seed, 0)]  # sums of whole numbers have no order
    shuffled = dice.sample(points, len(points))
    in_order, out_of_order = scanned(patient, points), scanned(patient, shuffled, cuts)
    assert rows(patient, out_of_order.closed) == rows(patient, in_order.closed)
    assert out_of_order.said[-1].late == 0
    assert out_of_order.said[-1].closed_until == in_order.said[-1].closed_until


def test_what_comes_after_its_window_is_counted() -> None:
    points = [{"t": time, "host": "a", "v": 1} for time in (500, 5_500, 700, 5_600)]
    last = scanned(plan(), points).said[-1]
    assert (last.late, last.records) == (1, 3)


# -- the range ------------------------------------------------------------------------------------------------


def test_only_whole_windows_of_the_range_count_and_the_newest_record_is_the_end() -> None:
    points = [{"t": time, "host": "a", "v": 1} for time in range(0, 10_000, 250)]
    scan = scanned(plan(partitions=1), points, start=2_700, end=6_900)
    assert [window.end for window in scan.closed] == [3_000, 4_000, 5_000, 6_000]
    assert scan.said[-1].closed_until == 6_000
    scan = scanned(plan(partitions=1), points, start=2_700, end=60_000)
    assert [window.end for window in scan.closed][-1] == 10_000
    assert scan.said[-1].closed_until == 9_000


def test_records_outside_of_the_range_do_not_move_the_clock() -> None:
    points = [{"t": time, "host": "a", "v": 1} for time in (90_000, 1_000, 80_000, 1_500, 2_000)]
    last = scanned(plan(partitions=1), points, end=4_000).said[-1]
    assert (last.late, last.records, last.closed_until) == (0, 3, 4_000)


def test_a_source_without_a_record_in_the_range_says_so() -> None:
    scan = scanned(plan(partitions=2), [{"t": 50, "host": "a", "v": 1}], start=1_000)
    assert [(partial.finished, partial.closed_until, partial.windows) for partial in scan.said] == [
        (True, NO_WINDOW, [])
    ] * 2


# -- going on after a crash -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(0, 2000), st.integers(1, 100), CUTS)
@settings(max_examples=10, deadline=None)
def test_a_restored_scan_goes_on_as_if_nothing_had_happened(seed: int, jitter: int, at: int, cuts: list[int]) -> None:
    planned = plan()
    points = stream(seed, jitter)
    whole = scanned(planned, points, cuts)
    first, rest = records(points)[:at], records(points)[at:]
    before = Scan(planned)
    before.read(first)
    after = Scan(planned)
    after.range.restore(decode_checkpoint(encode_checkpoint(before.range.snapshot())))
    for batch in cut(rest, cuts):
        after.read(batch)
    after.finish()
    assert rows(planned, before.closed + after.closed) == rows(planned, whole.closed)
    assert after.said[-1] == whole.said[-1] or after.said[-1].windows == []
    assert after.said[-1].closed_until == whole.said[-1].closed_until
    assert (after.range.first, after.range.reached) == (whole.range.first, whole.range.reached)


def test_many_windows_that_close_at_once_are_said_in_pieces() -> None:
    planned = plan(partitions=1, window_delay={"period": {"interval": 100, "unit": "Seconds"}})
    points = [
        {"t": second * 1000, "host": f"a-name-of-some-length-{host}", "v": 1}
        for second in range(10)
        for host in range(15_000)
    ]
    said = scanned(planned, points).said
    assert len(said) > 1
    assert [window.end for partial in said for window in partial.windows] == list(range(1000, 11_000, 1000))
    assert all(sum(sum(map(len, window.columns)) for window in partial.windows) < MAX_BYTES for partial in said)
    assert [partial.finished for partial in said] == [*[False] * (len(said) - 1), True]
    # The word on each piece covers what it holds and nothing of the next one, except for the newest record's window.
    assert [partial.closed_until for partial in said[:-1]] == [partial.windows[-1].end for partial in said[:-1]]
    assert said[-1].closed_until == 9_000
