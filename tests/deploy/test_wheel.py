"""The built wheel holds all that Riverwatch needs: it runs outside of the checkout, in an environment of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

import deploy
from tests.command_line import ENVIRONMENT
from tests.deadlines import EVENT, REQUEST
from tests.processes import bound

PROJECT = Path(deploy.__file__).parent.parent
SETUPTOOLS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGES = [each.rstrip("*") for each in SETUPTOOLS["packages"]["find"]["include"]]
UV = str(Path(sys.executable).with_name("uv"))
NOT_INSTALLED = PROJECT / "deploy" / "containers"


def test_every_file_that_is_no_module_is_declared_as_package_data() -> None:
    installed = {
        file
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for file in (PROJECT / package.replace(".", "/")).glob(pattern)
    }
    generated = {".pyc", ".so"}
    there = {
        file
        for package in PACKAGES
        for file in (PROJECT / package).rglob("*")
        if file.is_file() and file.suffix not in {".py", *generated} and NOT_INSTALLED not in file.parents
    }
    assert there <= installed


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, so that the build leaves nothing in the checkout and finds nothing that an earlier one left there.
    source = folder / "source"
    source.mkdir()
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(PROJECT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    environment = folder / "environment"
    install = ("pip", "install", "--quiet", "--python", environment / "bin" / "python")
    for arguments in (
        ("build", "--quiet", "--wheel", "--out-dir", folder, source),
        ("venv", "--quiet", "--python", sys.executable, environment),
        (*install, "--constraint", PROJECT / "requirements.lock"),
    ):
        wheel = [str(each) for each in folder.glob("*.whl")] if "install" in arguments else []
        subprocess.run(bound([UV, *arguments, *wheel]), check=True, cwd=folder, timeout=EVENT)
    return environment / "bin"


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(programs: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        bound([programs / "riverwatch", "demo", "--once"]),
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=EVENT,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"labelled windows +\d+ of 15 hit", answer.stdout)


@pytest.mark.slow
def test_the_api_serves_its_documents_from_the_wheel(programs: Path, tmp_path: Path) -> None:
    command = [programs / "riverwatch", "api", "--port", "0", "--no-apply-topics", "--data", tmp_path]
    with subprocess.Popen(
        bound(command), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[-1] for line in process.stdout if line.startswith("api ready on "))
            page = httpx.get(url + "/_docs", timeout=REQUEST)
        finally:
            process.kill()
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<html" in page.text
