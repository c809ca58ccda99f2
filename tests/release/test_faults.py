"""The Nth write, fsync or change of a name fails: readers see a whole release, recover clears up, a retry goes through.

Each fault meets a real process on a fresh copy of a prepared instance (`tests.release.faults`). By default the calls on
DuckDB's own file are thinned out and errnos and modes alternate; `CLAIMS_TEST_FAULTS=all` injects every combination.
For a disk that is really full see test_full_disk.py, for one that is read-only test_read_only_and_locked.py.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.release import ReleaseError, RunToken
from tests.release import bpf
from tests.release.conftest import Candidates
from tests.release.fault_scenarios import (
    SCENARIOS,
    SWITCH,
    SWITCHED,
    Scenario,
    after,
    failed_with_leftovers,
    good,
    live_model,
    old_ones,
    open_store,
    to_publish,
)
from tests.release.faults import INSTANCE, Fault, Faulty, Outcome

ALL = os.environ.get("CLAIMS_TEST_FAULTS") == "all"
APPENDED = f"fsync {INSTANCE}/releases/journal.jsonl"
FULL_ONCE, FULL, BAD_ONCE, BAD = [(error, stays) for error in (errno.ENOSPC, errno.EIO) for stays in (False, True)]
SLOW = {"first publish", "publish", "collection"}


@pytest.fixture(scope="module")
def seccomp(tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether system calls can be made to fail here; else it is functions of Python."""
    try:
        with Faulty(tmp_path_factory.mktemp("probe"), seccomp=True) as faulty:
            faulty.run(("live_id", (), {}))
    except bpf.UnavailableError:
        return False
    return True


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SCENARIOS]
)
def test_each_fault(
    tmp_path: Path, candidates: Candidates, capsys: pytest.CaptureFixture[str], seccomp: bool, name: str
) -> None:
    """Red when an error goes unnoticed, leaves something behind, or leaves in the journal what nobody was told."""
    told, wrong = sweep(tmp_path, SCENARIOS[name], candidates, seccomp=seccomp)
    with capsys.disabled():
        print(f"\n{name}: {told}{'' if seccomp else ' (without seccomp: of Python only)'}", end=" ")
    assert wrong == [], "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", [pytest.param("publish", marks=pytest.mark.slow), "restore"])
def test_each_fault_of_python_alone(tmp_path: Path, candidates: Candidates, name: str) -> None:
    """What is left of the test above on a machine without seccomp."""
    _, wrong = sweep(tmp_path, SCENARIOS[name], candidates, seccomp=False, every=5)
    assert wrong == [], "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", ["first publish", "collection", "restore", "recover", "rollback"])
def test_readers_between_any_two_system_calls(tmp_path: Path, candidates: Candidates, seccomp: bool, name: str) -> None:
    """The writer stands still at each call that changes what is not its own temporary folder; a reader looks on."""
    scenario, root = SCENARIOS[name], tmp_path / "root"
    root.mkdir()
    scenario.prepare(open_store(root), candidates)
    seen: list[str | None] = []

    def look(label: str) -> None:
        if ".building-" not in label and ".trash-" not in label:
            seen.append(live_model(open_store(root)))

    with Faulty(root, seccomp=seccomp) as faulty:
        outcome = faulty.run(scenario.call(open_store(root), candidates), look=look)
    assert outcome.error is None
    assert not seccomp or len(seen) > 5
    seen.append(live_model(open_store(root)))
    if seccomp:
        assert [model for model, _ in itertools.groupby(seen)] == list(scenario.seen)


@pytest.mark.parametrize("name", ["publish", "restore"])
def test_a_retry_brings_to_disk_what_a_failed_fsync_left_open(
    tmp_path: Path, candidates: Candidates, seccomp: bool, name: str
) -> None:
    """Red when a retry trusts a link that it finds switched: after a power cut the old one may be back."""
    scenario, template, root = SCENARIOS[name], tmp_path / "template", tmp_path / "root"
    template.mkdir()
    scenario.prepare(open_store(template), candidates)
    call = scenario.call(open_store(template), candidates)
    with Faulty(root, seccomp=seccomp) as faulty:
        shutil.copytree(template, root, symlinks=True)
        counted = faulty.run(call)
        before = counted.met[: counted.labels.index(SWITCH)]
        shutil.rmtree(root)
        shutil.copytree(template, root, symlinks=True)
        fault = Fault(bpf.FSYNC, sum(met.kind == bpf.FSYNC for met in before) + 1, errno.EIO, False)
        assert faulty.run(call, fault).failed == [SWITCHED]
        again = faulty.run(call)
    assert again.error is None
    assert SWITCHED in again.labels


def test_a_rollback_brings_to_disk_where_it_leads(tmp_path: Path, candidates: Candidates, seccomp: bool) -> None:
    """Red when `current` may be on disk before the name of its release, whose publisher could not fsync it."""
    good(open_store(tmp_path), candidates)
    sync = f"fsync {INSTANCE}/releases"
    with Faulty(tmp_path, seccomp=seccomp) as faulty:
        # A publish just like the next one tells which fsync it is.
        first = faulty.run(("publish", (candidates["older"], RunToken("older", 1)), {}))
        renamed = next(place for place, label in enumerate(first.labels) if label.startswith("rename "))
        number = sum(met.kind == bpf.FSYNC for met in first.met[:renamed]) + 1
        outcome = faulty.run(to_publish(open_store(tmp_path), candidates), Fault(bpf.FSYNC, number, errno.EIO, False))
        assert outcome.failed == [sync]
        orphan = next(release.id for release in open_store(tmp_path).releases() if release.manifest.run_id == "night")
        back = faulty.run(("rollback", (orphan,), {"reason": "test", "who": "ops"}))
    assert back.error is None
    assert sync in back.labels[: back.labels.index(SWITCH)]


def sweep(
    tmp_path: Path, scenario: Scenario, candidates: Candidates, *, seccomp: bool, every: int = 1
) -> tuple[str, list[str]]:
    """Inject the faults of a scenario one after the other; return the counts and what was wrong."""
    template, root = tmp_path / "template", tmp_path / "root"
    template.mkdir()
    scenario.prepare(open_store(template), candidates)
    call = scenario.call(open_store(template), candidates)
    wrong: list[str] = []
    tally: Counter[str] = Counter()
    with Faulty(root, seccomp=seccomp) as faulty:
        shutil.copytree(template, root, symlinks=True)
        counted = faulty.run(call)
        assert counted.error is None
        for fault in itertools.islice(faults(counted, scenario), 0, None, every):
            shutil.rmtree(root)
            shutil.copytree(template, root, symlinks=True)
            outcome = faulty.run(call, fault)
            tally["refused" if outcome.error else "went on all the same"] += 1
            try:
                assert outcome.failed, "it never happened"
                assert outcome.error is not None or may_go_on(scenario, outcome), "nobody was told"
                if (fault.error, fault.stays) == FULL_ONCE and outcome.failed[0].endswith("/journal.jsonl"):
                    assert outcome.error is None, "the journal's reserve was not used"
                after(template, root, scenario, call, fault, outcome)
            except (AssertionError, ReleaseError, OSError) as error:
                reason = str(error).splitlines()[0]
                wrong.append(f"{fault} ({', '.join(outcome.failed[:2])}; {outcome.error}): {reason}")
    calls = ", ".join(f"{counted.counts[kind]} {kind}s" for kind in bpf.KINDS)
    return f"{calls}; {tally.total()} faults: {dict(tally)}; {len(wrong)} wrong", wrong


def faults(counted: Outcome, scenario: Scenario) -> Iterator[Fault]:
    """For each call that was counted, some faults, and all kinds where a release becomes live."""
    labels = counted.labels
    first_rename = next((place for place, label in enumerate(labels) if label.startswith("rename ")), 0)
    number: Counter[str] = Counter()
    for place, (kind, label, _) in enumerate(counted.met):
        number[kind] += 1
        in_duckdb = ".building-" in label and "analytics.duckdb" in label
        if scenario.without == "before the switch" and place <= labels.index(SWITCH):
            continue
        if not ALL and in_duckdb and (scenario.without or place % 3):
            continue
        if ALL or (place >= first_rename and not scenario.without):
            chosen, dies = [FULL_ONCE, FULL, BAD_ONCE, BAD], True
        elif place >= first_rename:
            chosen, dies = [[FULL, BAD_ONCE], [FULL_ONCE, BAD]][place % 2], False
        else:
            chosen, dies = [[FULL, BAD_ONCE, FULL_ONCE, BAD][place // 3 % 4]], False
        for error, stays in chosen:
            yield Fault(kind, number[kind], error, stays)
        if dies:
            yield Fault(None, place + 1, errno.EIO, True)


def may_go_on(scenario: Scenario, outcome: Outcome) -> bool:
    """Whether a call may succeed although something failed: clearing up can wait, and the journal has a reserve."""
    label = outcome.failed[0]
    if f"unlink {INSTANCE}/releases/.reserve" in outcome.labels:
        return True
    if scenario.prepare is old_ones and any(".trash-" in each for each in outcome.labels):
        return True  # it has begun to collect, so the new release is live and journalled
    if scenario.prepare is failed_with_leftovers and label.endswith("/journal.jsonl"):
        return True  # the note of what is swept
    cleared_up = (".building-x", ".trash-x", ".current.1", f"unlink {INSTANCE}/releases/.waiting-")
    return label == f"mkdir {INSTANCE}/releases" or any(name in label for name in cleared_up)
