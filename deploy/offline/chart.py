"""A picture of the entities with the most anomalies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

from schemas.errors import Refused
from schemas.result import Result

MOST_ENTITIES = 8


def draw(path: Path, results: Sequence[Result], features: Sequence[str]) -> None:
    """Draw each of ``features`` for the entities with the most anomalies, in the format of the path's suffix.

    Incidents are shaded, and each anomaly has the band beside it in which its value was expected.

    Raises ``Refused`` (400) for an unknown format, and for a file that cannot be written.
    """
    mpl.use("Agg")
    by_entity: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_entity[", ".join(each.value for each in result.entity or ())].append(result)
    chosen = sorted(by_entity, key=lambda entity: -sum(map(_is_anomaly, by_entity[entity])))[:MOST_ENTITIES]
    panels = [(entity, feature) for entity in chosen for feature in features]
    rows = max(1, len(panels))
    figure, axes = pyplot.subplots(rows, squeeze=False, figsize=(12, 2.2 * rows), layout="constrained")
    for axis, (entity, feature) in zip(axes[:, 0], panels, strict=False):
        mine = by_entity[entity]
        times = np.array([result.data_end_time for result in mine], "datetime64[ms]")
        values = np.array([_value(result, feature) for result in mine])
        odd = np.array([_is_anomaly(result) for result in mine])
        axis.plot(times, values, linewidth=0.7, color="#2b5c8a")
        for begin, end in _incidents(mine):
            axis.axvspan(*np.array([begin, end], "datetime64[ms]"), color="#c62828", alpha=0.12, linewidth=0)
        bands = np.array([_band(result, feature) for result in mine])
        axis.vlines(times[odd], *bands[odd].T, linewidth=3, color="#9aa5b1")
        axis.scatter(times[odd], values[odd], s=30, color="#c62828", zorder=3)
        axis.set_title(" ".join(filter(None, [entity, feature])), fontsize=9, loc="left")
    try:
        figure.savefig(path, dpi=110)
    except (ValueError, OSError) as error:
        raise Refused(400, f"The picture cannot be written to {path}: {error}") from error
    finally:
        pyplot.close(figure)


def _is_anomaly(result: Result) -> bool:
    return isinstance(result.anomaly_grade, float) and result.anomaly_grade > 0


def _incidents(results: Sequence[Result]) -> list[tuple[int, int]]:
    """From where to where each incident lasts (epoch ms)."""
    last = {each.incident.sequence: each for each in results if each.incident and each.incident.state != "closed"}
    return [(each.incident.start_time, each.data_end_time) for each in last.values() if each.incident]


def _band(result: Result, feature: str) -> tuple[float, float]:
    ids = {each.feature_id for each in result.feature_data or () if each.feature_name == feature}
    bands = result.reason.bands if result.reason else []
    return next(((band.lower, band.upper) for band in bands if band.feature_id in ids), (np.nan, np.nan))


def _value(result: Result, feature: str) -> float:
    return next((each.data for each in result.feature_data or () if each.feature_name == feature), np.nan)
