"""``riverwatch detect`` as a user meets it: options, output, and what it says about a file that it cannot use."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import in_process

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """Two hosts, a row every 5 minutes; b has a spike in row 500."""
    source = np.random.default_rng(0)
    rows = ["time,host,cpu"]
    for row in range(600):
        for host in ("a", "b"):
            value = source.normal(50, 5) + (100 if host == "b" and row == 500 else 0)
            rows.append(f"{(START + timedelta(minutes=5 * row)).isoformat()},{host},{value:.3f}")
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_spike_is_found_and_shown_as_a_result_document(metrics: Path) -> None:
    out, err = in_process("detect", metrics, "--time", "time", "--feature", "avg:cpu", "--by", "host", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    end = START + timedelta(minutes=5 * 501)
    (spike,) = [each for each in documents if each["data_end_time"] == end.timestamp() * 1000]
    assert spike["entity"] == [{"name": "host", "value": "b"}]
    assert spike["anomaly_grade"] > 0.5
    assert spike["relevant_attribution"] == [{"feature_id": "avg_cpu", "data": 1.0}]
    assert abs(spike["expected_values"][0]["value_list"][0]["data"] - 50) < 15
    assert spike["data_end_time"] - spike["data_start_time"] == 300_000
    assert "1,200 windows of 300 s, 2 models" in err
    assert (
        "rows read, from 2024-01-01T00:00:00Z to 2024-01-03T01:55:00Z: 1,200 used (0 without a value), 0 late\n" in err
    )
    assert all(each["anomaly_grade"] > 0 for each in documents)


def test_every_window_a_filter_a_plot_and_compressed_standard_input(metrics: Path, tmp_path: Path) -> None:
    plot = tmp_path / "out.png"
    options = ("--time", "time", "--feature", "max:cpu", "--interval", "1h", "--where", "host:b", "--all")
    out, err = in_process("detect", "-", *options, "--plot", plot, stdin=gzip.compress(metrics.read_bytes()))
    assert len(out.splitlines()) == 50
    assert "600 left out by the filter" in err
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_detectors_delay_leaves_late_rows_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    rows = [(START + timedelta(seconds=second)).isoformat() for second in (*range(600), 5)]
    path.write_text("t,x\n" + "".join(f"{time},1\n" for time in rows))
    options = ("--time", "t", "--feature", "sum:x", "--interval", "10s", "--all")
    _, err = in_process("detect", path, *options)
    assert "601 used (0 without a value), 0 late" in err
    _, err = in_process("detect", path, *options, "--delay", "30s")
    assert "600 used (0 without a value), 1 late" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--time", "when", "--feature", "avg:cpu"), "There is no column when: the file has time, host, cpu"),
        (("--time", "time", "--feature", "avg:mem"), "There is no column mem: the file has time, host, cpu"),
        (("--time", "time", "--feature", "avg:cpu", "--by", "rack"), "There is no column rack"),
        (("--time", "time", "--feature", "avg:host"), "host holds no number (it has 'a'): there are numbers in cpu"),
        (("--time", "host", "--feature", "avg:cpu"), "1,200 bad-time: host: time 'a' is neither a number nor ISO 8601"),
        (("--time", "cpu", "--feature", "avg:cpu"), "is no plausible time"),
        (("--time", "time", "--feature", "cpu"), "'cpu' is no feature"),
        (("--time", "time", "--feature", "avg:cpu", "--interval", "10x"), "'10x' is no interval"),
        (("--time", "time", "--feature", "avg:cpu", "--time-zone", "Berlin"), "'Berlin' is no time zone"),
        (("--time", "time", "--feature", "avg:cpu", "--time-format", "%d/%m/%Y"), "(unreadable)"),
        (("--time", "time", "--feature", "avg:cpu", "--encoding", "utf-9"), "'utf-9' is no encoding"),
        (("--time", "time", "--feature", "avg:cpu", "--no-header"), "the file has 1, 2, 3"),
        (("--time", "time", "--feature", "avg:cpu", "--where", "host:nobody"), "1,200 left out by the filter"),
        (("--time", "time", "--feature", "avg:cpu", "--sensitivity", "99"), "model.sensitivity must be"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(metrics: Path, options: tuple[str, ...], message: str) -> None:
    _, err = in_process("detect", metrics, *options, code=2)
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["out.nonsense", "nowhere/out.png"])
def test_a_picture_that_cannot_be_written_is_refused_after_the_results(
    metrics: Path, tmp_path: Path, name: str
) -> None:
    plot = tmp_path / name
    out, err = in_process("detect", metrics, "--time", "time", "--feature", "max:cpu", "--plot", plot, code=2)
    assert "grade" in out
    assert f"The picture cannot be written to {plot}" in err


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    _, err = in_process("detect", tmp_path / "none.csv", "--time", "t", "--feature", "avg:x", code=2)
    assert "does not exist" in err
