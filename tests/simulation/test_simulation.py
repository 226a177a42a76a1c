"""As many seeds as there is time for; and each protection, taken out, makes some seed differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadlines import SLOW_TEST
from tests.processes import bound
from tests.simulation.protections import PROTECTIONS

SECONDS = 20
"""The time that the seeds may take: enough for some hundreds."""

QUICKLY = {"barrier": 200, "clock": 100, "confirmation": 20, "grace": 30, "journal": 50, "lateness": 20, "outlier": 30}
"""Protections of which few seeds show what they are for, and how many."""

RARELY = 20_000
"""Seeds for those that matter only when faults meet."""

pytestmark = pytest.mark.thorough


def simulate(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bound([sys.executable, "-m", "tests.simulation", *arguments]),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=SLOW_TEST,
        check=False,
    )


def test_no_fault_changes_a_result() -> None:
    done = simulate("--seconds", SECONDS, "--seeds", 100_000, "--jobs", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    count = re.fullmatch(r"(\d+) seeds, 0 with differences, .* s\n", done.stdout)
    assert count is not None, done.stdout
    assert int(count[1]) > 0


@pytest.mark.parametrize(
    "protection",
    [
        pytest.param(name, marks=() if name in QUICKLY else (pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)))
        for name in sorted(PROTECTIONS)
    ],
)
def test_each_protection_is_missed(protection: str) -> None:
    done = simulate("--without", protection, "--seeds", QUICKLY.get(protection, RARELY), "--stop")
    assert done.returncode == 1, f"nothing was found: {done.stdout}{done.stderr}"
    assert f" --without {protection}\n" in done.stdout


def test_a_seed_leads_to_the_same_history_again() -> None:
    first, second = (simulate("--seed", 216).stdout.splitlines()[:-1] for _ in range(2))
    assert first == second
    assert any("generation" in line for line in first)
