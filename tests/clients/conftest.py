"""The npm packages of package.json, installed once into the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.deadlines import EVENT
from tests.processes import bound

PACKAGES = Path(__file__).with_name("package.json")


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """A folder with ``node_modules``; the test is skipped where there is no npm or no registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riverwatch"
    folder = cache / f"npm-{hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Beside it and then renamed: another test process may do the same, and may be killed half way.
    making = Path(tempfile.mkdtemp(dir=cache))
    try:
        shutil.copy(PACKAGES, making)
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--fetch-retries=0")
        command = ["npm", "install", *quiet]
        done = subprocess.run(bound(command), cwd=making, capture_output=True, text=True, timeout=EVENT, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the clients: {done.stderr.strip()[-300:]}")
        if not folder.exists():
            making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder
