"""How well anomalies are found: made and handed labelled series, clean ones, NAB; beside Random Cut Forest and River.

    .venv/bin/python -m tests.bench.detection [--sets DIR [--only FILE]] [--nab DIR] [--detectors riverwatch river rcf]

``--sets`` is a folder of labelled sets (labelled/folders.py), ``--only`` a JSON file that names some of their series
by "FOLDER/SET". The metric is in labelled/metric.py: recall of events, F1, and wrong pages in 10,000 clean rows (FA).
Random Cut Forest is fetched when it is asked for; it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streams.forest import ForestSpec, open_bank
from tests.bench import forest_alarms, forest_attribution, nab
from tests.bench.labelled import anomalies, folders
from tests.bench.labelled.backgrounds import BACKGROUNDS
from tests.bench.labelled.detectors import DETECTORS, Detector
from tests.bench.labelled.metric import Tally, macro, tally, total
from tests.bench.labelled.series import Flags, Series
from tests.bench.nabscore import load, score_alarms

INTERVALS = (60, 300, 600, 3600)
YOUNG = slice(32, 500)
WARM = slice(500, 1 << 40)
ROWS = {60: 8640, 300: 6048, 600: 6048, 3600: 3600}
NAMED = {
    "dip0": "dip at peak",
    "ctx_spike": "spike at the quiet hour",
    "shift": "level shift",
    "burst": "variance burst",
    "phase": "phase shift",
    "flatday": "flat day",
    "nojob": "missing job",
    "mild1h": "mild excess for an hour",
}
"""What the handed sets call the kinds."""


class Column:
    """What one detector reaches."""

    def __init__(self, detector: Detector, seed: int) -> None:
        self._detector = detector
        self._seed = seed

    def alarms(self, series: Sequence[Series], seed: int | None = None) -> list[Flags]:
        """Which rows of each series alarm."""
        return self._detector(series, self._seed if seed is None else seed)

    def tallies(self, series: Sequence[Series], scored: slice | None = None) -> list[Tally]:
        """What each series adds to the sums."""
        return [tally(one, alarm, scored) for one, alarm in zip(series, self.alarms(series), strict=True)]

    def handed(self, root: Path, only: dict[str, list[str]] | None) -> dict[str, str]:
        """F1 and FA of each set of a folder, and over all sets; recall by kind of what was injected into them."""
        lines, sums = {}, []
        injected = Tally()
        for name in folders.sets(root):
            key = f"{root.name}/{name}"
            one = total(self.tallies(folders.read(root, name, only[key] if only else None)))
            sums.append(one)
            lines[f"handed, {name}: F1; FA"] = _f1(one)
            if name.startswith("inject"):
                injected.add(one)
        f1, pages = macro(sums)
        lines["handed, macro F1; FA"] = f"{f1:.3f}; {pages:.1f}"
        for kind in sorted(injected.events):
            lines[f"handed, recall of {NAMED.get(kind, kind)}"] = _share(injected, kind)
        return lines

    def made(self, seeds: Sequence[int]) -> dict[str, str]:
        """Recall by kind on series with injected anomalies, and FA on clean ones."""
        series = [
            anomalies.labelled(kind, interval, ROWS[interval], seed)
            for seed in seeds
            for interval in INTERVALS
            for kind in BACKGROUNDS
            if any(kind in suits for suits in anomalies.KINDS.values())
        ]
        found = total(self.tallies(series))
        lines = {f"made, recall of {kind}": _share(found, kind) for kind in anomalies.KINDS}
        lines["made, F1; FA"] = _f1(found)
        young, settled = [], []
        for kind in BACKGROUNDS:
            settled.append(self._clean([anomalies.clean(kind, i, ROWS[i], s) for s in seeds for i in INTERVALS], WARM))
            new = [anomalies.clean(kind, i, 500, 100 * s + n) for s in seeds for i in INTERVALS for n in range(10)]
            young.append(self._clean(new, YOUNG))
            lines[f"clean, {kind}: FA; rows 32 to 500"] = f"{settled[-1]:.1f}; {young[-1]:.1f}"
        lines["clean, mean of the kinds: FA; rows 32 to 500"] = f"{np.mean(settled):.1f}; {np.mean(young):.1f}"
        return lines

    def _clean(self, series: Sequence[Series], scored: slice) -> float:
        return total(self.tallies(series, scored)).false_pages

    def sped_up(self, seeds: Sequence[int]) -> dict[str, str]:
        """Outages found in days of 240 seconds."""
        lines = {}
        for kind, what in (("requests", "requests fall to 0"), ("cpu", "CPU at 99 %")):
            one = total(self.tallies([anomalies.sped_up(kind, seed) for seed in seeds], slice(700, 1 << 40)))
            lines[f"sped-up days, {what}: found; FA"] = f"{_share(one, kind)}; {one.false_pages:.1f}"
        return lines

    def nab(self, root: Path, seeds: Sequence[int]) -> dict[str, str]:
        """NAB's scores with the detector's own threshold."""
        corpus = load(root)
        series = [Series(one.name, int(np.median(np.diff(one.times)) // 1000), one.times, one.values) for one in corpus]
        second = [one for one in corpus if nab.half(one) == 2]
        reached = []
        for seed in seeds:
            alarms = dict(zip((one.name for one in corpus), self.alarms(series, seed), strict=True))
            scores = score_alarms(corpus, alarms)
            reached.append([*scores.values(), score_alarms(second, alarms)["standard"]])
        standard, low_fp, low_fn, half = np.mean(reached, axis=0)
        return {
            "NAB: standard / low FP / low FN": f"{standard:.1f} / {low_fp:.1f} / {low_fn:.1f}",
            "NAB, second half: standard": f"{half:.1f}",
        }


def _f1(one: Tally) -> str:
    return f"{one.f1:.3f}; {one.false_pages:.1f}" if one.events else f"; {one.false_pages:.1f}"


def _share(one: Tally, kind: str) -> str:
    share = one.recall_of(kind)
    return "" if math.isnan(share) else f"{share:.2f} of {one.events[kind]}"


def of_riverwatch(trials: int) -> dict[str, str]:
    """What only Riverwatch is measured by: recall of steep anomalies, features, bytes."""
    lines = {f"recall, {what}": f"{share:.2f}" for what, share in forest_alarms.recall().items()}
    for correlated in (False, True):
        kind = "correlated" if correlated else "independent"
        for features in (3, 5, 10):
            found, first = forest_attribution.ranked_first(features, trials, 6.0, correlated, 0)
            lines[f"{features} {kind} features, one odd: found; named first"] = f"{found:.2f}; {first:.2f}"
    bank = open_bank(ForestSpec(features=1, seed=42), 1)
    bank.step(np.zeros(3000, np.int64), np.arange(3000) * 300_000, np.random.default_rng(1).normal(5, 1, (3000, 1)))
    lines["bytes of a model: memory; checkpoint"] = f"{bank.bytes_per_model}; {len(bank.dump(np.array([0]))[0])}"
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("RIVERWATCH_DETECTION_SETS")
    parser.add_argument("--sets", type=Path, default=Path(folder) if folder else None)
    parser.add_argument("--only", type=Path, help="a JSON file: the series by FOLDER/SET")
    parser.add_argument("--nab", type=Path, default=os.environ.get("RIVERWATCH_NAB"))
    parser.add_argument("--detectors", nargs="+", choices=[*DETECTORS], default=[*DETECTORS])
    parser.add_argument("--seed", type=int, default=42, help="of the trees")
    parser.add_argument("--nab-seeds", type=int, nargs="+", default=[42, 7, 19, 1, 2], help="of the trees")
    parser.add_argument("--series-seeds", type=int, nargs="+", default=[1], help="of the series that are made")
    parser.add_argument("--trials", type=int, default=200, help="of the attribution")
    options = parser.parse_args()
    only = json.loads(options.only.read_text()) if options.only else None
    for name in options.detectors:
        column = Column(DETECTORS[name], options.seed)
        lines: dict[str, str] = {}
        if options.sets:
            lines |= column.handed(options.sets, only)
        lines |= column.made(options.series_seeds) | column.sped_up(options.series_seeds)
        if options.nab:
            lines |= column.nab(options.nab, options.nab_seeds)
        if name == "riverwatch":
            lines |= of_riverwatch(options.trials)
        print(f"\n{name}")
        for what, figure in lines.items():
            print(f"  {what:62} {figure}", flush=True)


if __name__ == "__main__":
    main()
