"""The ``riverwatch`` command for tests: as a process, or within this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from deploy.cli import main
from tests.deadlines import EVENT
from tests.processes import bound

PROGRAM = [sys.executable, "-m", "deploy.cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("RIVERWATCH_")}


def run(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bound([*PROGRAM, *arguments]), capture_output=True, text=True, timeout=EVENT, env=environment, check=False
    )


@contextmanager
def running(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        bound([*PROGRAM, *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def in_process(
    *arguments: object, code: int = 0, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Run the command within this process; what it wrote to standard output and error. Fails on another exit code."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("RIVERWATCH_")]:
            patch.delenv(name)
        for name, value in (variables or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["riverwatch", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            main()
            ended: object = 0
        except SystemExit as exit:
            ended = exit.code
    assert ended == code, out.getvalue() + err.getvalue()
    return out.getvalue(), err.getvalue()


def detectors(url: str, *arguments: str, code: int = 0, **variables: str) -> str:
    """Run ``riverwatch detectors``; what it wrote to standard output, or on failure its message."""
    settings = {"RIVERWATCH_CLIENT_URL": url, **variables}
    out, err = in_process("detectors", *arguments, code=code, variables=settings)
    return out if code == 0 else err
