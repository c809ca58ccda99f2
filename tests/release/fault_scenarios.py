"""Calls of the store on prepared instances, what readers may see when one fails, and what must hold afterwards."""

from __future__ import annotations

import filecmp
import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml.release import Candidate, ReleaseStore, RunToken
from ml.release.journal import Record
from tests.release import bpf, processes
from tests.release.conftest import Candidates
from tests.release.faults import INSTANCE, Call, Fault, Outcome

SWITCH = f"rename {INSTANCE}/current"
SWITCHED = f"fsync {INSTANCE}"
LEFTOVERS = (".building-", ".trash-", ".current.")
NOW = datetime.now(UTC)


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
CALLS = ["publish", "restore", "recover", "rollback", "record QC"]


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
