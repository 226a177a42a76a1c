"""Replays all recordings against a whole Riverwatch: Kafka, a worker and the API, started for it.

    python -m tests.contract FOLDER [options of contract.py]

FOLDER holds the recordings and the program that replays them (``contract.py``). Every difference must be
explained in docs/compatibility.md: the number of its recording stands in the first column of the table
"Differences". Exit status 1 when one is not, or when fewer than 97 % of the exchanges are without a difference.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from deploy.local_kafka.broker import free_port
from tests.deadlines import EVENT, REQUEST
from tests.processes import bound

EXPLAINED = Path(__file__).parents[2] / "docs" / "compatibility.md"
ENOUGH = 0.97


def main() -> int:
    """Run the replay; see the module's text."""
    parser = argparse.ArgumentParser(description="replay recorded exchanges with OpenSearch")
    parser.add_argument("folder", type=Path, help="folder of the recordings and contract.py")
    arguments, options = parser.parse_known_args()
    program = arguments.folder / "contract.py"
    if not program.is_file():
        parser.error(f"{program} does not exist")
    with tempfile.TemporaryDirectory() as data:
        kafka, api = free_port(), free_port()
        command = [sys.executable, "-m", "deploy.cli", "up", "--broker-port", str(kafka), "--api-port", str(api)]
        riverwatch = subprocess.Popen(bound([*command, "--data", data]), env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            url = f"http://127.0.0.1:{api}"
            _wait(riverwatch, url)
            report = Path(data) / "report.json"
            replay = [sys.executable, str(program), "--url", url, "--kafka", f"127.0.0.1:{kafka}"]
            replay += ["--recordings", str(arguments.folder), "--report", str(report), *options]
            subprocess.run(bound(replay), check=False)
            return _judge(json.loads(report.read_text()))
        finally:
            riverwatch.send_signal(signal.SIGTERM)
            riverwatch.wait(REQUEST)


def _wait(riverwatch: subprocess.Popen[bytes], url: str) -> None:
    """Until a worker has been heard from."""
    deadline = time.monotonic() + EVENT
    while time.monotonic() < deadline:
        if riverwatch.poll() is not None:
            raise SystemExit("Riverwatch did not start")
        try:
            if httpx.get(f"{url}/_health", timeout=REQUEST).json().get("status") == "green":
                return
        except (httpx.TransportError, json.JSONDecodeError):
            pass
        time.sleep(0.1)
    raise SystemExit(f"Riverwatch was not ready within {EVENT:.0f} s")


def explained_in(page: str) -> set[str]:
    """The recordings whose difference the page explains: numbers anywhere else on it explain nothing."""
    section = page.partition("\n## Differences\n")[2].partition("\n## ")[0]
    first_columns = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return {number for column in first_columns for number in re.findall(r"\b\d{3}\b", column)}


def _judge(report: dict[str, object]) -> int:
    exchanges: dict[str, dict[str, object]] = report["exchanges"]  # type: ignore[assignment]
    differing = sorted(number for number, each in exchanges.items() if each["differences"])
    explained = explained_in(EXPLAINED.read_text())
    unexplained = [number for number in differing if number not in explained]
    share = 1 - len(differing) / max(1, len(exchanges))
    sys.stdout.write(f"{100 * share:.1f} % of {len(exchanges)} exchanges are without a difference\n")
    if unexplained:
        sys.stdout.write(f"not explained in {EXPLAINED.name}: {' '.join(unexplained)}\n")
    return 0 if share >= ENOUGH and not unexplained else 1


if __name__ == "__main__":
    raise SystemExit(main())
