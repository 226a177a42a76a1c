"""An API process that can't serve as it was told to says why, and serves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadlines import EVENT
from tests.processes import bound


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_tls_files_that_cannot_be_used_are_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "server.pem"
    if content is not None:
        file.write_text(content)
    given = {"RIVERWATCH_TLS_CERTIFICATE": str(file), "RIVERWATCH_TLS_KEY": str(file), "RIVERWATCH_API_PORT": "0"}
    script = (
        "import os; from api import settings; from api.http import server;"
        " server.run(settings.ApiSettings.from_environment(os.environ))"
    )
    done = subprocess.run(
        bound([sys.executable, "-c", script]),
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=EVENT,
        check=False,
    )
    assert "api ready" not in done.stdout
    assert "SettingInvalid: RIVERWATCH_TLS_CERTIFICATE, " in done.stderr
