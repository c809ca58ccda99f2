"""The tests of the release room can fail: each fsync removed, steps swapped, a check dropped, and the suite goes red.

Every mutant is a copy of the package in a folder of its own; the checkout is never touched.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "include" / "ml"
POWER = "tests/release/test_power_cuts.py"
CRASH = "tests/release/test_crash.py"
PUBLISH = "tests/release/test_publish.py"
RESTORE = "tests/release/test_restore.py"
VERIFY = "tests/release/test_verify.py"
JOURNAL = "tests/release/test_journal.py"
TOGETHER = "tests/release/test_together.py"
RED, GREEN = 1, 0


@dataclass(frozen=True)
class Mutant:
    """A change of one file of the package, and the tests that must notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def fsyncs() -> Iterator[Mutant]:
    """Every fsync of the room, each in turn not done; a new one is found by itself."""
    for path in [PACKAGE / "files.py", *sorted((PACKAGE / "release").glob("*.py"))]:
        source = path.read_text()
        lines = source.splitlines(keepends=True)
        for function in ast.walk(ast.parse(source)):
            if not isinstance(function, ast.FunctionDef) or function.name == "replace_durably":  # not the room's
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                    called = ast.unparse(node.value.func)
                    if called in ("fsync_file", "fsync_folder", "os.fsync"):
                        line = node.lineno - 1
                        changed = lines[line][: node.col_offset] + "pass\n"
                        file = str(path.relative_to(PACKAGE))
                        name = f"{file}: {function.name} without {ast.unparse(node)}"
                        new = "".join(lines[:line]) + changed + "".join(lines[line + 1 :])
                        yield Mutant(name, file, source, new, POWER)


SWITCH = """        with step(Step.SWITCH):
            room.switch(release.id)
"""
INTENT = """    with step(Step.INTENT):
        room.journal.append(_record(Event.INTENT if switched else Event.ARCHIVED, release, now))
"""
BACK_DECIDE = """    with step(Step.BACK_DECIDE):
        room.journal.append(fence)
        history = History((*history.records, fence))
"""
BACK_SWITCH = """    with step(Step.BACK_SWITCH):
        way = _way_back(room, history, live, quick=quick)
        room.switch(way.target)
"""
ROLLBACK = """        with step(Step.BACK_DECIDE):
            room.journal.append(record)
        with step(Step.BACK_SWITCH):
            room.switch(target)
"""
ROLLBACK_SWAPPED = """        with step(Step.BACK_SWITCH):
            room.switch(target)
        with step(Step.BACK_DECIDE):
            room.journal.append(record)
"""
SEAL = """            with step(Step.SEAL):
                seal(candidate, token, now, temporary, before.backup, new_id, rows)
"""
RENAME = """            with step(Step.RENAME):
                temporary.rename(room.releases / new_id)
                fsync_folder(room.releases)
"""
COLLECT = """            with step(Step.COLLECT_RENAME):
                release.path.rename(trash)  # in one step, so that nobody ever sees half a release under its id
                fsync_folder(room.releases)
"""

BY_HAND = [
    Mutant("switch before intent", "release/publish.py", INTENT, SWITCH.replace("    ", "", 1) + INTENT, CRASH),
    Mutant("name before seal", "release/publish.py", SEAL + RENAME,
           RENAME + SEAL.replace("temporary", "room.releases / new_id"), CRASH),
    Mutant("back: switch before fence", "release/restore.py", BACK_DECIDE + BACK_SWITCH,
           BACK_SWITCH + BACK_DECIDE, f"{CRASH} -k stepping_back"),
    Mutant("rollback: switch before decision", "release/restore.py", ROLLBACK,
           ROLLBACK_SWAPPED, f"{POWER} -k rollback"),
    Mutant("collect: deleted under its own name", "release/retention.py", COLLECT,
           "            trash = release.path\n", f"{CRASH} -k collecting"),
    Mutant("no fence", "release/publish.py", "            _refuse_dead(history, token)\n", "", TOGETHER),
    Mutant("no lock", "release/publish.py", "            held.enter_context(room.locked())\n", "", TOGETHER),
    Mutant("nothing recognised", "release/publish.py", "        if done is not None:\n", "        if False:\n", CRASH),
    Mutant("nothing swept", "release/publish.py", "            sweep(room)\n", "            pass\n", CRASH),
    Mutant("unaudited bytes", "release/publish.py", "            _require_audited(candidate)\n", "", PUBLISH),
    Mutant("table and Parquet not compared", "release/build.py",
           "problems = problems or tables.compare_problems(", "tables.compare_problems(", PUBLISH),
    Mutant("old overwrites new", "release/publish.py",
           "release.manifest.data_date >= before.data_date", "bool(release.manifest.data_date)", PUBLISH),
    Mutant("two ancestors kept", "release/retention.py", "ANCESTORS_KEPT = 3", "ANCESTORS_KEPT = 2", PUBLISH),
    Mutant("the young are collected", "release/retention.py",
           "now - release.manifest.created_at < room.keep_age", "release.id == live_id_of(room)", PUBLISH),
    Mutant("restore of whatever is live", "release/restore.py",
           "publisher is None or publisher.run_id != token.run_id", "publisher is None", RESTORE),
    Mutant("back to what was given up", "release/verify.py", "    if history.given_up(release_id):\n",
           "    if False:\n", RESTORE),
    Mutant("damage is left unasked", "release/restore.py",
           "if why is None and found and give_up_damaged:", "if why is None and found:", RESTORE),
    Mutant("hashes not looked at", "release/verify.py", "sha256_of(path) != entry.sha256", "False", VERIFY),
    Mutant("only the size decides whether a file is hashed", "release/verify.py",
           "entry.stat == stat_of(path)", "entry.size == size", RESTORE),
    Mutant("a torn line is kept", "release/journal.py",
           "end = _end_of_last_line(descriptor)", "end = os.fstat(descriptor).st_size", JOURNAL),
]  # fmt: skip
MUTANTS = [*fsyncs(), *BY_HAND]


def run_tests(folder: Path, mutant: Mutant | None) -> subprocess.CompletedProcess[str]:
    """Run a mutant's tests against a copy of the package with its change in it."""
    include = folder / "include"
    shutil.copytree(PACKAGE, include / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    (include / "sql").symlink_to(PROJECT_ROOT / "include" / "sql")
    if mutant is not None:
        path = include / "ml" / mutant.file
        source = path.read_text()
        assert source.count(mutant.old) == 1, f"{mutant.name}: the change no longer fits {mutant.file}"
        path.write_text(source.replace(mutant.old, mutant.new))
    where = "import ml, sys; sys.exit(not ml.__file__.startswith(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": f"{include}{os.pathsep}{PROJECT_ROOT}", "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", where, str(include)], env=environment, cwd=folder, check=True)
    tests = (mutant.tests if mutant else f"{VERIFY} {JOURNAL}").split()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests],
        cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """All mutants, two at a time, by name; "" is the package as it is."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        names = {"": None} | {mutant.name: mutant for mutant in MUTANTS}
        yield {
            name: pool.submit(run_tests, tmp_path_factory.mktemp("mutant"), mutant) for name, mutant in names.items()
        }


def test_without_a_mutation_the_suite_is_green(runs: dict[str, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = runs[""].result()
    assert done.returncode == GREEN, done.stdout[-3000:]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_suite_notices(mutant: Mutant, runs: dict[str, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = runs[mutant.name].result()
    assert done.returncode == RED, f"{mutant.name} was not noticed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
