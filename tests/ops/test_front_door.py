"""The Makefile and `.ci/run`: what the README promises is there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ml.settings import PROJECT_ROOT

TARGETS = {"api", "help", "run", "up", "down", "status", "test", "e2e", "lint", "types", "lock", "sample", "clean"}
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [[], ["help"]])
def test_help_lists_every_target_and_is_the_default(arguments: list[str]) -> None:
    shown = subprocess.run(["make", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make (\S+) +\S", shown, re.MULTILINE)) == TARGETS


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony.group(1).split()) == TARGETS | {"setup"}


def test_ci_is_make_test_and_nothing_before_it() -> None:
    script = PROJECT_ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert lines == ["exec make test"]


def test_make_test_checks_style_sql_types_and_runs_pytest() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "test"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = (
        "ops/bootstrap.py",
        "ruff check",
        "ruff format --check",
        "sqlfluff lint include/sql",
        "mypy",
        "-m pytest",
    )
    places = [plan.find(command) for command in commands]
    assert -1 not in places, plan
    assert places[0] == min(places), "the environment comes first"
    assert places[-1] == max(places), "tests come after what is quick"


@pytest.mark.parametrize("command", ["down", "status"])
def test_nothing_to_stop_without_an_environment(command: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    shown = subprocess.run(
        ["make", "--no-print-directory", command], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert shown == "Nothing is running.\n"
