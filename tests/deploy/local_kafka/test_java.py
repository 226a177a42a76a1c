"""Finding Java: what is chosen, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import JavaMissing
from deploy.local_kafka.java import bundled_java, find_java, java_version


def fake_java(folder: Path, version: str) -> Path:
    """A program that answers ``-version`` as a Java of that version does."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return java


def test_the_packaged_java_is_new_enough() -> None:
    java = bundled_java()
    assert java is not None
    assert java_version(java) >= 17


def test_the_setting_comes_first_and_may_be_a_home(tmp_path: Path) -> None:
    chosen = fake_java(tmp_path / "chosen", "21.0.1")
    bundled = fake_java(tmp_path / "bundled", "25")
    assert find_java({"RIVERWATCH_JAVA": str(chosen)}, bundled) == chosen
    assert find_java({"RIVERWATCH_JAVA": str(tmp_path / "chosen")}, bundled) == chosen


def test_without_a_package_java_home_and_then_the_path_are_used(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home", "17.0.15")
    on_path = fake_java(tmp_path / "path", "18")
    environment = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}
    assert find_java(environment, None) == home
    assert find_java({**environment, "JAVA_HOME": ""}, None) == on_path


def test_an_old_java_is_passed_over(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "1.8.0_392")
    new = fake_java(tmp_path / "new", "17.0.1")
    assert find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(new.parent)}, old) == new


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392", "garbage"])
def test_a_chosen_java_that_does_not_do_is_an_error_not_passed_over(tmp_path: Path, version: str) -> None:
    chosen = fake_java(tmp_path / "chosen", version)
    with pytest.raises(JavaMissing, match=r"RIVERWATCH_JAVA=.*Java 17 or newer"):
        find_java({"RIVERWATCH_JAVA": str(chosen)}, fake_java(tmp_path / "bundled", "25"))


def test_no_java_at_all_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match="set RIVERWATCH_JAVA") as raised:
        find_java({"PATH": str(tmp_path)}, None)
    assert "RIVERWATCH_BROKERS" in str(raised.value)


def test_a_missing_file_is_no_java(tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match="is no working Java"):
        find_java({"RIVERWATCH_JAVA": str(tmp_path / "nothing")}, None)
