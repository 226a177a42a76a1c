"""docs/routes.md names every route, and its lines run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from starlette.routing import compile_path

from api.http.app import by_path
from api.http.route import Route
from api.http.routes import ROUTES
from tests.api.conftest import RunningApi, minute_records
from tests.deadlines import EVENT
from tests.processes import bound

PAGE = (Path(__file__).parents[3] / "docs" / "routes.md").read_text()


def documented() -> set[tuple[str, str]]:
    """Methods and paths of the page's headings: ``GET, POST /a, /b`` and ``GET /a, POST /b``."""
    found: set[tuple[str, str]] = set()
    for heading in re.findall(r"^### (.*)$", PAGE, re.MULTILINE):
        methods: list[str] = []
        last_was_path = False
        for word in re.split(r"[ ,]+", heading):
            if word.startswith("/"):
                found |= {(method, word) for method in methods}
            else:
                methods = [word] if last_was_path else [*methods, word]
            last_was_path = word.startswith("/")
    return found


def test_every_route_is_documented_and_no_other() -> None:
    known = {(method, route.tail) for route in ROUTES for method in route.methods if method != "HEAD"}
    assert documented() == known


NOTED = """curl() { printf '%s\\0' "$@" END >> "$NOTES"; command curl "$@"; }"""
"""Writes down what curl is called with."""


def test_the_lines_run(api: RunningApi, tmp_path: Path) -> None:
    source = api.source(minute_records())
    now = int(time.time() * 1000)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    lines = lines.replace("http://127.0.0.1:9200", api.url).replace('"metrics"', json.dumps(source))
    lines = lines.replace("1795400000000", str(now - 3_600_000)).replace("1795493160667", str(now))
    notes = tmp_path / "notes"
    done = subprocess.run(
        bound(["bash", "-euo", "pipefail", "-xc", f"{NOTED}\n{lines}"]),
        capture_output=True,
        text=True,
        timeout=EVENT,
        check=False,
        env={**os.environ, "NOTES": str(notes)},
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert "no handler found" not in done.stdout
    assert {route.tail for route in ROUTES} == {route.tail for route in asked(notes, api.url)}


def asked(notes: Path, url: str) -> Iterator[Route]:
    """The routes that curl was called for."""
    paths = [(compile_path(path)[0], methods) for path, methods in by_path(defaultdict(object))]
    for call in notes.read_text().removesuffix("END\0").split("END\0"):
        words = call.split("\0")
        method = words[words.index("-X") + 1] if "-X" in words else ("HEAD" if "-sfI" in words else "GET")
        path = next(word for word in words if word.startswith(url)).removeprefix(url).partition("?")[0]
        methods = next(methods for pattern, methods in paths if pattern.match(path))
        yield methods[method].route
