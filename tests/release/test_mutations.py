"""The tests of the release room can fail: each fsync removed, steps swapped, checks dropped, and they go red.

Every mutation is made in a copy of the package, never in the checkout; a pytest of their own runs the tests on it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from ml.settings import PROJECT_ROOT
from tests.release.mutations import BY_HAND, JOURNAL, POWER_PUBLISHING, UNNOTICED, VERIFY, Mutation, without_each_fsync

PACKAGE = PROJECT_ROOT / "include" / "ml"
FSYNCS = list(without_each_fsync(PACKAGE))
MUTATIONS = [*FSYNCS, *BY_HAND]
SLOW = {
    "release/journal.py: _write without os.fsync(descriptor)",
    "no intent",
    "release/build.py: seal without fsync_folder(folder)",
    "link removed before it is made",
    "switch before intent",
    "step back: switch before fence",
    "the young are collected",
    "no acknowledgement",
    "release/durable.py: remove_link without fsync_folder(link.parent)",
    "release/build.py: seal without fsync_file(path)",
    "two ancestors kept",
    "files.py: fsync_file without os.fsync(descriptor)",
    "collected in silence",
    "release/room.py: _settle without fsync_folder(folder)",
    "rename before seal",
    "release/journal.py: _write without fsync_folder(self.path.parent)",
    "collect: deleted before renamed",
    "files.py: fsync_folder without os.fsync(descriptor)",
    "files.py: make_folders without fsync_folder(folder.parent)",
    "files.py: point_link without fsync_folder(link.parent)",
    "release/durable.py: write_new without os.fsync(file.fileno())",
    "release/journal.py: settle without fsync_file(self.path)",
    "release/publish.py: _publish without fsync_folder(room.releases)",
    "release/retention.py: collect without fsync_folder(room.releases)",
    "release/room.py: _settle without fsync_folder(self.instance.parent)",
    "release/room.py: make_static_links without fsync_folder(link.parent)",
}
"""Noticed by one of the last tests or by none: 10 seconds to a minute each."""
UNCHANGED = Mutation("unchanged", "", "", "", (VERIFY, JOURNAL, f"{POWER_PUBLISHING}::test_publish[over]"))
GREEN, RED = 0, 1
BROKEN = re.compile("(Syntax|Indentation|Import|Name|UnboundLocal|Attribute|Type)Error")
"""A mutation must do harm, not fall over: then any test would notice it."""

Run: TypeAlias = "subprocess.CompletedProcess[str]"


def run_tests(folder: Path, mutation: Mutation) -> Run:
    """Run a mutation's tests on a copy of the package with its change in it."""
    include = folder / "include"
    shutil.copytree(PACKAGE, include / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    (include / "sql").symlink_to(PROJECT_ROOT / "include" / "sql")
    if mutation is not UNCHANGED:
        path = include / "ml" / mutation.file
        source = path.read_text()
        assert source.count(mutation.old) == 1, f"{mutation.name}: the mutation no longer applies to {mutation.file}"
        path.write_text(source.replace(mutation.old, mutation.new))
    # The package is installed from the checkout; the copy must win. It says where it comes from before pytest starts.
    program = "import ml, pytest, sys; print(ml.__file__); sys.exit(pytest.main(sys.argv[1:]))"
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--no-header",
        "--tb=short",
        "-m",
        "not e2e_slow",
        f"--basetemp={folder / 'tmp'}",
    ]
    paths = f"{include}{os.pathsep}{PROJECT_ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", program, *options, *mutation.tests],
        env=os.environ | {"PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # half a second a run
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.startswith(str(include)), f"another package was tested: {done.stdout[:200]}{done.stderr[-500:]}"
    shutil.rmtree(folder)
    return done


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Run]]]:
    """The tests of the mutations that are asked for, two at a time, by the mutation's name."""
    wanted = {}
    for item in request.session.items:
        mutation = item.callspec.params.get("mutation") if hasattr(item, "callspec") else None
        if isinstance(mutation, Mutation):
            wanted[mutation.name] = mutation
        elif item.name == test_unchanged_the_tests_are_green.__name__:
            wanted[UNCHANGED.name] = UNCHANGED
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            name: pool.submit(run_tests, tmp_path_factory.mktemp("mutation"), mutation)
            for name, mutation in wanted.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
def test_unchanged_the_tests_are_green(runs: dict[str, Future[Run]]) -> None:
    done = runs[UNCHANGED.name].result()
    assert done.returncode == GREEN, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(mutation, id=mutation.name, marks=[pytest.mark.slow] if mutation.name in SLOW else [])
        for mutation in MUTATIONS
    ],
)
def test_the_tests_notice(mutation: Mutation, runs: dict[str, Future[Run]]) -> None:
    done = runs[mutation.name].result()
    output = done.stdout[-3000:] + done.stderr[-1000:]
    if mutation.name in UNNOTICED:
        assert done.returncode == GREEN, f"{mutation.name} is noticed after all: take it off the list"
        return
    assert done.returncode == RED, f"not noticed: {mutation.name}\n{output}"
    assert not BROKEN.search(done.stdout), f"{mutation.name} breaks the code instead of changing it\n{output}"


def test_the_list_of_the_unnoticed_is_up_to_date() -> None:
    assert UNNOTICED.keys() <= {mutation.name for mutation in FSYNCS}
