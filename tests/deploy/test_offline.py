"""``riverwatch detect`` on small files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from deploy.commands.detect import command
from deploy.offline import Feature, aggregate, find_interval, read_records
from schemas.errors import Refused

START = datetime(2024, 1, 1, tzinfo=UTC)


def write(path: Path, form: str) -> Path:
    """Two hosts, a row every 5 minutes; b has a spike in row 500."""
    source = np.random.default_rng(0)
    rows = []
    for row in range(600):
        for host in ("a", "b"):
            value = source.normal(50, 5) + (100 if host == "b" and row == 500 else 0)
            time = (START + timedelta(minutes=5 * row)).isoformat()
            rows.append({"time": time, "host": host, "cpu": round(value, 3)})
    if form == "csv":
        path.write_text("time,host,cpu\n" + "".join(f"{r['time']},{r['host']},{r['cpu']}\n" for r in rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_spike_is_found_and_told_as_a_result_document(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"metrics.{form}", form)
    options = ["--time", "time", "--feature", "avg:cpu", "--by", "host", "--json"]
    outcome = CliRunner().invoke(command, [str(path), *options])
    assert outcome.exit_code == 0, outcome.output
    documents = [json.loads(line) for line in outcome.stdout.splitlines()]
    end = START + timedelta(minutes=5 * 501)
    (spike,) = [each for each in documents if each["data_end_time"] == end.timestamp() * 1000]
    assert spike["entity"] == [{"name": "host", "value": "b"}]
    assert spike["anomaly_grade"] > 0.5
    assert spike["relevant_attribution"] == [{"feature_id": "avg_cpu", "data": 1.0}]
    assert abs(spike["expected_values"][0]["value_list"][0]["data"] - 50) < 15
    assert spike["data_end_time"] - spike["data_start_time"] == 300_000
    assert "1200 windows of 300 s, 2 models" in outcome.stderr
    assert all(each["anomaly_grade"] > 0 for each in documents)


def test_every_window_a_plot_and_standard_input(tmp_path: Path) -> None:
    text = write(tmp_path / "metrics.csv", "csv").read_text()
    plot = tmp_path / "out.png"
    options = ["-", "--time", "time", "--feature", "max:cpu", "--interval", "1h", "--all", "--plot", str(plot)]
    outcome = CliRunner().invoke(command, options, input=text)
    assert outcome.exit_code == 0, outcome.output
    assert len(outcome.stdout.splitlines()) == 50
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_windows_hold_what_the_features_say() -> None:
    rows: list[dict[str, Any]] = [
        {"t": 0, "x": 1.0},
        {"t": 59_999, "x": "3"},
        {"t": 60_000, "x": None},
        {"t": "never", "x": 9.0},
        {"t": 120_000, "x": 5.0},
    ]
    features = [Feature.parse(f"{kind}:x") for kind in ("avg", "sum", "min", "max", "count")]
    records = read_records(rows, "t", features, [])
    assert records.unusable == 1
    windows = aggregate(records, features, 60_000)
    assert windows.ends.tolist() == [60_000, 120_000, 180_000]
    np.testing.assert_array_equal(windows.values[0], [2, 4, 1, 3, 2])
    np.testing.assert_array_equal(windows.values[1], [np.nan] * 4 + [0])
    assert find_interval(records) == 60_000


@pytest.mark.parametrize("text", ["cpu", "median:cpu", "avg:"])
def test_what_is_no_feature_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no feature"):
        Feature.parse(text)
