"""Flags, variables and folders."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from deploy.command_line.environment import data_folder, overlay, read_settings
from streams.settings import Settings


def test_a_flag_wins_and_one_that_is_not_given_changes_nothing() -> None:
    environment = {"RIVERWATCH_BROKERS": "a:1", "HOME": "/h"}
    assert overlay(environment, brokers="b:2", prefix=None) == {"RIVERWATCH_BROKERS": "b:2", "HOME": "/h"}
    assert environment["RIVERWATCH_BROKERS"] == "a:1"
    assert read_settings(Settings, overlay(environment, apply_topics=False)).apply_topics is False


def test_a_value_that_cannot_be_used_is_wrong_usage() -> None:
    with pytest.raises(click.UsageError, match="RIVERWATCH_MODEL_PARTITIONS"):
        read_settings(Settings, {"RIVERWATCH_MODEL_PARTITIONS": "many"})


def test_the_data_folder_is_the_flag_the_variable_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RIVERWATCH_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder(None) == tmp_path / "riverwatch"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert data_folder(None) == Path.home() / ".local" / "share" / "riverwatch"
    monkeypatch.setenv("RIVERWATCH_DATA", "~/there")
    assert data_folder(None) == Path.home() / "there"
    assert data_folder(tmp_path) == tmp_path
