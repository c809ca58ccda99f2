"""The Nth write, fsync or change of a name fails: readers see a whole release, recover clears up, a retry goes through.

Each fault meets a real process on a fresh copy of a prepared instance (`tests.release.faults`). By default the calls on
DuckDB's own file are thinned out and errnos and modes alternate; `CLAIMS_TEST_FAULTS=all` injects every combination.
Then folders and file systems that are read-only, and a lock that is not given back. For a disk that is really full see
test_full_disk.py.
"""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from ml.release import Candidate, ReleaseError, ReleaseStore, Restored, RunToken
from ml.release.journal import Record
from tests.release import bpf, processes
from tests.release.conftest import write_candidate
from tests.release.faults import INSTANCE, Call, Fault, Faulty, Outcome, holding_the_lock

ALL = os.environ.get("CLAIMS_TEST_FAULTS") == "all"
SWITCH = f"rename {INSTANCE}/current"
SWITCHED = f"fsync {INSTANCE}"
APPENDED = f"fsync {INSTANCE}/releases/journal.jsonl"
LEFTOVERS = (".building-", ".trash-", ".current.")
NOW = datetime.now(UTC)
FULL_ONCE, FULL, BAD_ONCE, BAD = [(error, stays) for error in (errno.ENOSPC, errno.EIO) for stays in (False, True)]
REFUSED = Fault(None, 1, errno.EACCES, False)


@dataclass(frozen=True)
class Scenario:
    """A call of the store on a prepared instance, what readers may see when it fails, and how things go on."""

    prepare: Callable[[ReleaseStore, dict[str, Candidate]], None]
    call: Callable[[ReleaseStore, dict[str, Candidate]], Call]
    seen: tuple[str | None, ...]  # the models that may be live after a fault; the last one is what the call is for
    recovered: tuple[str | None, ...]  # those that may be live after recover
    without: str = ""  # leave out the faults in "duckdb", or those "before the switch": another scenario has them


def open_store(root: Path) -> ReleaseStore:
    return ReleaseStore(root / INSTANCE, lock_timeout=2, keep=1, threads=1, memory_limit="500MB")


Candidates: TypeAlias = dict[str, Candidate]


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Candidates:
    folder = tmp_path_factory.mktemp("candidates")
    return {model: write_candidate(folder / model, model=model) for model in ("older", "good", "night")}


def nothing(_store: ReleaseStore, _candidates: Candidates) -> None:
    return


def good(store: ReleaseStore, candidates: Candidates) -> None:
    make(store, candidates["good"], "good", 0)


def old_ones(store: ReleaseStore, candidates: Candidates) -> None:
    for day in range(9, 5, -1):
        make(store, candidates["older"], f"older{day}", day)
    make(store, candidates["good"], "good", 5)


def older_and_good(store: ReleaseStore, candidates: Candidates) -> None:
    make(store, candidates["older"], "older", 1)
    good(store, candidates)


def failed(store: ReleaseStore, candidates: Candidates) -> None:
    good(store, candidates)
    store.publish(candidates["night"], RunToken("night", 1))


def failed_with_leftovers(store: ReleaseStore, candidates: Candidates) -> None:
    failed(store, candidates)
    live = store.live()
    assert live is not None
    for name in (".building-x", ".trash-x"):
        shutil.copytree(live.path, live.path.with_name(name))
    (live.path.parent.parent / ".current.1").symlink_to("nowhere")


def make(store: ReleaseStore, candidate: Candidate, run: str, days_ago: int) -> None:
    made = store.publish(candidate, RunToken(run, 1), now=NOW - timedelta(days=days_ago))
    store.record_qc(made.release_id, passed=True, log=None)


def to_publish(_store: ReleaseStore, candidates: Candidates) -> Call:
    return "publish", (candidates["night"], RunToken("night", 1)), {}


def to_restore(_store: ReleaseStore, _candidates: Candidates) -> Call:
    return "restore", ("night",), {"reason": "QC failed"}


def to_recover(_store: ReleaseStore, _candidates: Candidates) -> Call:
    return "recover", (), {}


def to_roll_back(store: ReleaseStore, _candidates: Candidates) -> Call:
    return "rollback", (store.ids()[0],), {"reason": "test", "who": "ops"}


def to_record_qc(store: ReleaseStore, _candidates: Candidates) -> Call:
    return "record_qc", (store.live_id(),), {"passed": True, "log": None}


SCENARIOS = {
    "first publish": Scenario(nothing, to_publish, (None, "night"), (None,), "duckdb"),
    "publish": Scenario(good, to_publish, ("good", "night"), ("good",)),
    "collection": Scenario(old_ones, to_publish, ("good", "night"), ("good",), "before the switch"),
    "restore": Scenario(failed, to_restore, ("night", "good"), ("good",)),
    "recover": Scenario(failed_with_leftovers, to_recover, ("night", "good"), ("good",)),
    "rollback": Scenario(older_and_good, to_roll_back, ("good", "older"), ("good", "older")),
    "record QC": Scenario(failed, to_record_qc, ("night",), ("night", "good")),
}
SLOW = {"first publish", "publish", "collection"}
CALLS = ["publish", "restore", "recover", "rollback", "record QC"]


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


@pytest.mark.parametrize("name", ["publish", "restore"])
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


@pytest.mark.parametrize(
    ("folder", "unaffected"), [("", ["record QC"]), ("releases", ["restore", "recover", "rollback", "record QC"])]
)
def test_a_folder_that_nobody_may_write_to(
    tmp_path: Path, candidates: Candidates, folder: str, unaffected: list[str]
) -> None:
    """Red when a call says nothing of what it could not do, or does half of it."""
    template, root = tmp_path / "template", tmp_path / "root"
    with Faulty(root, seccomp=False, powerless=True) as faulty:
        for name in CALLS:
            scenario = SCENARIOS[name]
            template.mkdir()
            scenario.prepare(open_store(template), candidates)
            call = scenario.call(open_store(template), candidates)
            shutil.copytree(template, root, symlinks=True)
            closed = root / INSTANCE / folder
            closed.chmod(0o555)
            try:
                outcome = faulty.run(call)
                assert live_model(open_store(root)) in scenario.seen
            finally:
                closed.chmod(0o755)
            assert (outcome.error is None) == (name in unaffected), f"{name}: {outcome.error}"
            assert outcome.error is None or str(closed) in outcome.error, outcome.error
            after(template, root, scenario, call, REFUSED, outcome)
            shutil.rmtree(root)
            shutil.rmtree(template)


def test_a_file_system_that_has_become_read_only(tmp_path: Path, candidates: Candidates) -> None:
    """As the kernel makes it after an error on the disk: readers read on, whoever writes is told so."""
    template, root = tmp_path / "template", tmp_path / "root"
    root.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(root))
    if mounted.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {mounted.stderr.strip()}")
    try:
        with Faulty(root, seccomp=False) as faulty:
            for name in CALLS:
                scenario = SCENARIOS[name]
                template.mkdir()
                scenario.prepare(open_store(template), candidates)
                call = scenario.call(open_store(template), candidates)
                shutil.copytree(template, root, symlinks=True, dirs_exist_ok=True)
                assert mount("-o", "remount,ro", str(root)).returncode == 0
                outcome = faulty.run(call)
                assert live_model(open_store(root)) == scenario.seen[0]
                assert mount("-o", "remount,rw", str(root)).returncode == 0
                assert outcome.error is not None
                assert "Read-only file system" in outcome.error
                after(template, root, scenario, call, REFUSED, outcome)
                shutil.rmtree(root / INSTANCE)
                shutil.rmtree(template)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_lock_that_is_not_given_back(tmp_path: Path, candidates: Candidates, stopped: bool) -> None:
    """Whoever writes says whom he waited for; whoever still waits when the holder is killed gets in; readers read."""
    failed(open_store(tmp_path), candidates)
    impatient = ReleaseStore(tmp_path / INSTANCE, lock_timeout=0.1)
    patient = ReleaseStore(tmp_path / INSTANCE, lock_timeout=30)
    restored: list[Restored] = []
    with holding_the_lock(tmp_path) as holder:
        if stopped:
            os.kill(holder, signal.SIGSTOP)
        for name in CALLS:
            method, arguments, options = SCENARIOS[name].call(impatient, candidates)
            with pytest.raises(
                ReleaseError, match=r"/releases/\.lock was held by another process for 0\.1 s: .* try again"
            ):
                getattr(impatient, method)(*arguments, **options)
            assert live_model(impatient) == "night"
        waiting = threading.Thread(target=lambda: restored.append(patient.restore("night", reason="QC failed")))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        os.kill(holder, signal.SIGKILL)
        waiting.join(10)
        assert restored[0].restored
    assert live_model(impatient) == "good"


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


def after(template: Path, root: Path, scenario: Scenario, call: Call, fault: Fault, outcome: Outcome) -> None:
    """What holds after a fault, and how it goes on: after one that stayed by recover, else by trying again at once."""
    store = open_store(root)
    method, arguments, options = call
    seen = live_model(store)
    assert seen in scenario.seen, f"readers see {seen}"
    assert outcome.error is None or outcome.clear, "no clear error"
    assert seen == scenario.seen[0] or "no change" not in (outcome.error or ""), f"it says so, but {seen} is live"
    assert outcome.error is not None or seen == scenario.seen[-1], f"it succeeded, but {seen} is live"
    assert outcome.still_open == [], f"still open: {outcome.still_open}"
    unknown = records(root) - records(template) - acknowledged(outcome)
    assert unknown == 0 or fault.kind is None, f"{unknown} records that nobody was told of are in the journal"
    if fault.stays:
        recovered = store.recover()
        assert live_model(store) in scenario.recovered, f"recover: {recovered.message}"
        assert recovered.damage == ()
        assert leftovers(root) == [], f"left after recover: {leftovers(root)}"
    if method != "publish":
        getattr(store, method)(*arguments, **options)
    elif not fault.stays or outcome.error is not None:
        before = store.live_id()
        candidate, token = arguments
        done = store.publish(candidate, RunToken(token.run_id, token.try_number + 1))
        # It takes its own release over, or goes on from what was live before.
        assert before == (done.release_id if seen == "night" and not fault.stays else done.previous), f"{done}"
        if done.release_id != before:
            assert leftovers(root) == [], f"left after the retry: {leftovers(root)}"
    if not fault.stays or (method != "record_qc" and outcome.error is not None):  # else recover has decided otherwise
        assert live_model(store) == scenario.seen[-1], f"after the retry {live_model(store)} is live"
    for release_id in store.ids():
        assert whole(template, root, release_id), f"{release_id} is damaged: {store.verify(release_id)}"


def whole(template: Path, root: Path, release_id: str) -> bool:
    """Verified anew, unless it was there before and no byte of it has changed."""
    was, now = (folder / INSTANCE / "releases" / release_id for folder in (template, root))
    if not was.exists():
        return open_store(root).verify(release_id) == []
    names = sorted(path.name for path in was.iterdir())
    same = sorted(path.name for path in now.iterdir()) == names
    return same and filecmp.cmpfiles(was, now, names, shallow=False)[0] == names


def live_model(store: ReleaseStore) -> str | None:
    """The model of the live release, which is whole."""
    live = store.live()
    if live is None:
        return None
    processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
    return live.manifest.model_version


def leftovers(root: Path) -> list[str]:
    instance = root / INSTANCE
    names = [path.name for path in [*instance.glob(".*"), *(instance / "releases").glob(".*")]]
    return [name for name in names if name.startswith(LEFTOVERS)]


def records(root: Path) -> int:
    """The number of lines in the journal; each of them is whole."""
    journal = root / INSTANCE / "releases" / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return len([Record.model_validate_json(line) for line in lines])


def acknowledged(outcome: Outcome) -> int:
    """The number of records that the process has brought to disk: written, and fsynced right after."""
    calls = [met for met in outcome.met if met.label.endswith("/journal.jsonl")]
    pairs = itertools.pairwise(calls)
    return sum(
        one.label.startswith("pwrite") and two.kind == bpf.FSYNC and not (one.failed or two.failed)
        for one, two in pairs
    )
