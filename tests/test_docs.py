"""The docs say what the code does, or the build fails."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from deploy.cli import riverwatch
from tests.settings_page import PAGE, render

ROOT = Path(__file__).parent.parent


def test_the_settings_page_is_the_settings() -> None:
    assert PAGE.read_text() == render(), "write it anew: make docs"


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_links_and_pictures_of_the_docs_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_every_command_of_the_readme_exists() -> None:
    commands = set(re.findall(r"riverwatch ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert commands
    assert commands <= set(riverwatch.list_commands(None))  # type: ignore[arg-type]


def test_every_benchmark_that_the_docs_name_exists() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for name in re.findall(r"tests\.bench\.([a-z_]+)", page.read_text()):
            assert (ROOT / "tests" / "bench" / f"{name}.py").exists(), f"{page.name}: {name}"


def test_every_file_that_the_architecture_page_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    names = re.findall(r"`((?:schemas|streams|api|deploy|tests)/[\w./]*)`", text)
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_test_that_the_guarantees_name_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 10
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []
    promised = text.partition("## Promised")[2].partition("## Not promised")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| ")][1:]
    assert all("::" in row for row in rows), "each promise names the test that shows it"


@pytest.mark.parametrize("number", [0, 1])
def test_the_diagram_of_the_rooms_is_the_contract_that_make_check_enforces(number: int) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"][number]
    layers = [re.split(r"\s*[|:]\s*", layer.replace("api.", "")) for layer in layers]
    diagram = (ROOT / "docs/architecture.md").read_text().split("flowchart TD\n")[number + 1].partition("```")[0]
    names = dict(re.findall(r"(\w+)\[([^]]+)\]", diagram))
    arrows = [line.split(" --> ") for line in re.sub(r"\[[^]]+\]", "", diagram).split("\n") if "-->" in line]
    chain = [arrows[0][0].strip(), *(below.strip() for _, below in arrows)]
    assert [above.strip() for above, _ in arrows] == chain[:-1]
    assert [sorted(names[box].split(", ")) for box in chain] == [sorted(layer) for layer in layers]


def test_every_file_that_the_contributors_page_names_exists() -> None:
    named = re.findall(r"`((?:streams|api|deploy|schemas|tests)/[\w/.]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == []
