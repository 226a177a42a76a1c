"""Kafka's jars: fetched once from Maven Central, kept in the user's cache folder, checked at every start.

``kafka.jars`` pins each jar with its SHA-256. A jar is used only if its bytes match: an interrupted or damaged cache is
noticed and repaired, and what runs is what was tested.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import JarsUnavailable

PINS = Path(__file__).with_name("kafka.jars")
CONNECTIONS = 6
ATTEMPTS = 3


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Its name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Jar, Path], Path]
"""Downloads a jar into a scratch folder and returns its file; raises ``OSError`` or ``RuntimeError``."""


def parse_pins(text: str) -> list[Jar]:
    """Read a list of pins: ``group:artifact:version sha256`` a line, ``#`` starts a comment.

    >>> parse_pins("# Kafka\\norg.slf4j:slf4j-api:1.7.36 d3ef")[0].filename
    'slf4j-api-1.7.36.jar'
    """
    jars: list[Jar] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Riverwatch's folder in the user's cache: below ``XDG_CACHE_HOME``, else ``~/.cache``."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "riverwatch"


def kafka_jars(folder: Path, *, report: Callable[[str], None]) -> list[Path]:
    """All of Kafka's jars, after ``complete``."""
    return complete(folder, parse_pins(PINS.read_text()), fetch_from_maven, report=report)


def complete(folder: Path, pins: list[Jar], fetch: Fetch, *, report: Callable[[str], None]) -> list[Path]:
    """The files of all pinned jars in ``folder``, after fetching those that are missing or damaged.

    Fetches nothing when all are there. Several processes may do this at once: a file appears whole or not at all.
    ``report`` gets a line before a fetch. Raises ``JarsUnavailable``.
    """
    wanted = [jar for jar in pins if not intact(folder / jar.filename, jar)]
    if wanted:
        damaged = sum((folder / jar.filename).exists() for jar in wanted)
        if damaged:
            report(f"{damaged} of Kafka's jars in {folder} are damaged; fetching them again")
        report(f"Fetching Kafka ({len(wanted)} of {len(pins)} jars) into {folder}; only this first time")
        _fetch_all(wanted, folder, fetch)
    return [folder / jar.filename for jar in pins]


def intact(file: Path, jar: Jar) -> bool:
    """Whether ``file`` holds exactly the pinned bytes."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _fetch_all(jars: list[Jar], folder: Path, fetch: Fetch) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="fetching-", dir=folder))
    except OSError as error:
        raise JarsUnavailable(
            f"Cannot write Kafka's jars to {folder}: {error.strerror}. Make it writable, or set XDG_CACHE_HOME to a"
            " folder that is."
        ) from error
    try:
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            for _ in threads.map(lambda jar: _fetch_one(jar, folder, scratch, fetch), jars):
                pass
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch_one(jar: Jar, folder: Path, scratch: Path, fetch: Fetch) -> None:
    problem = ""
    for attempt in range(ATTEMPTS):
        try:
            file = fetch(jar, scratch / f"{jar.artifact}-{attempt}")
            if intact(file, jar):
                os.replace(file, folder / jar.filename)
                return
            problem = "its bytes are not those that Riverwatch was tested with"
        except (OSError, RuntimeError) as error:
            problem = str(error)
    raise JarsUnavailable(
        f"Cannot fetch Kafka's jar {jar.filename} from Maven Central: {problem}.\n"
        "Connect this machine to the network for the first start (or set HTTPS_PROXY), copy the folder"
        f" {folder} from a machine that has it, or use an existing Kafka with RIVERWATCH_BROKERS."
    )


def fetch_from_maven(jar: Jar, scratch: Path) -> Path:
    """Fetch with jgo. Network errors are ``OSError`` (requests) or ``RuntimeError`` (jgo)."""
    from jgo.maven import MavenContext  # takes half a second, and only the first start fetches anything

    # Each attempt has a repository of its own: jgo takes a file that an earlier attempt left half written for whole.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    context = MavenContext(repo_cache=scratch, local_repos=[], timeout=10)
    return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
