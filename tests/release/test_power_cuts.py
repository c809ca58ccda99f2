"""Power cuts: on every disk that could be left, readers find one whole release, and what was acknowledged is there.

What the model knows and does not know of real disks: disk.py, and docs/publishing.md, "What is not proven".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml.release import Candidate, ReleaseError, ReleaseStore, RunToken
from tests.release import disk as disk_model
from tests.release import processes
from tests.release.conftest import DATE, MakeCandidate, write_candidate

NIGHT = RunToken("night", 1)
AGAIN = RunToken("night", 2)


def store_of(instance: Path) -> ReleaseStore:
    return ReleaseStore(instance, lock_timeout=5, keep=1, threads=1, memory_limit="500MB")


# What is done without power; functions of the module, because they run in processes of their own.


def publish(candidate: Candidate, instance: Path) -> None:
    store_of(instance).publish(candidate, NIGHT)


def publish_and_pass(candidate: Candidate, instance: Path) -> None:
    published = store_of(instance).publish(candidate, NIGHT)
    store_of(instance).record_qc(published.release_id, passed=True, log=None)


def restore(instance: Path) -> None:
    assert store_of(instance).restore(NIGHT, reason="QC failed").restored


def recover(instance: Path) -> None:
    assert store_of(instance).recover().restored


def rollback(instance: Path) -> None:
    assert store_of(instance).rollback(None, reason="test", who="ops").restored


@dataclass(frozen=True)
class Disks:
    """The disks that power cuts during an operation could leave."""

    points: int
    disks: list[dict[str, Any]]

    def __iter__(self) -> Iterator[tuple[str, bool, ReleaseStore]]:
        """Where the power went, whether the operation had returned by then, and the store on that disk."""
        for disk in self.disks:
            yield disk["at"], disk["returned"], store_of(Path(disk["folder"]) / "instance")


Cut = Callable[[Callable[[Path], None]], Disks]


@pytest.fixture
def cut(tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Cut:
    """Run an operation on the instance, and cut the power at every point of it."""

    def run(operation: Callable[[Path], None]) -> Disks:
        out = tmp_path / "disks"
        out.mkdir()
        assert processes.run(disk_model.run, tmp_path / "root", out, operation) == 0
        index = json.loads((out / "index.json").read_text())
        assert any(disk["returned"] for disk in index["disks"])
        with capsys.disabled():
            print(f"\n  {request.node.name}: {index['points']} points, {len(index['disks'])} distinct disks", end="")
        return Disks(**index)

    return run


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance folder that does not exist yet; the folder it will be in is on disk."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root" / "instance"


def published(instance: Path, name: str, *, qc: bool | None = True, days_ago: int = 0) -> str:
    """Publish a release of a run of that name (and of a model of that name), and return its id."""
    candidate = write_candidate(instance.parents[1] / f"candidate-{name}", model=name)
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    keep_all = ReleaseStore(instance, threads=1, keep=99)
    release_id = keep_all.publish(candidate, RunToken(name, 1), now=moment).release_id
    if qc is not None:
        keep_all.record_qc(release_id, passed=qc, log=None)
    return release_id


def woken_with(store: ReleaseStore) -> str | None:
    """The model of the live release after the power is back; every release that is listed verifies."""
    for release in store.releases():
        assert store.verify(release.id) == []
    return live_model(store)


def static_links(store: ReleaseStore) -> list[Path]:
    """The paths of the old system; they lead nowhere as long as no release is live."""
    instance = store._room.instance
    return [instance / "analytics.duckdb", instance / "data" / "claims_ml_scores.parquet"]


def live_model(store: ReleaseStore) -> str | None:
    """The model of the live release, as a reader sees it; None when no release is live."""
    live = store.live()
    if live is None:
        return None
    processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
    return live.manifest.model_version


def test_stepping_back_to_nothing(cut: Cut, instance: Path) -> None:
    published(instance, "night", qc=None)
    for at, returned, store in cut(restore):
        assert woken_with(store) in ((None,) if returned else (None, "night")), at
        store.recover(current_run="the next one")
        assert live_model(store) is None, at


@pytest.mark.parametrize("operation", [restore, recover])
def test_stepping_back(cut: Cut, instance: Path, operation: Callable[[Path], None]) -> None:
    """The fence was acknowledged: the dead try stays out also after the power is back."""
    published(instance, "good")
    published(instance, "night", qc=None)
    candidate = write_candidate(instance.parents[1] / "late", model="late")
    for at, returned, store in cut(operation):
        assert woken_with(store) in (("good",) if returned else ("good", "night")), at
        if returned:
            with pytest.raises(ReleaseError, match="declared dead"):
                store.publish(candidate, NIGHT)
        store.recover(current_run="the next one")
        assert live_model(store) == "good", at
        assert store.publish(candidate, AGAIN).switched


def test_rollback(cut: Cut, instance: Path) -> None:
    """The operator's word is on disk before the switch: recover leaves what he chose."""
    published(instance, "older")
    published(instance, "live")
    for at, returned, store in cut(rollback):
        seen = woken_with(store)
        assert seen in (("older",) if returned else ("older", "live")), at
        store.recover(current_run="the next one")
        assert live_model(store) == seen, at


def test_publish_of_an_older_data_date(cut: Cut, instance: Path, make_candidate: MakeCandidate) -> None:
    published(instance, "good")
    candidate = make_candidate(model="backfill", day=DATE - timedelta(days=3))
    for at, returned, store in cut(partial(publish, candidate)):
        assert woken_with(store) == "good", at
        archived = [release for release in store.releases() if release.manifest.model_version == "backfill"]
        assert archived or not returned, at
        store.recover(current_run="the next one")
        again = store.publish(candidate, AGAIN)
        assert (again.switched, live_model(store)) == (False, "good"), at


def test_a_passed_qc(cut: Cut, instance: Path, make_candidate: MakeCandidate) -> None:
    """Once QC's verdict is recorded, the next run's recover must not take the release away."""
    published(instance, "good")
    for at, returned, store in cut(partial(publish_and_pass, make_candidate(model="new"))):
        assert woken_with(store) in (("new",) if returned else ("good", "new")), at
        store.recover(current_run="the next one")
        assert live_model(store) in (("new",) if returned else ("good", "new")), at


@pytest.mark.parametrize("previous", ["none", "one", "old ones"])
def test_publish(cut: Cut, instance: Path, make_candidate: MakeCandidate, previous: str) -> None:
    """Old or new, never neither: also the first time, and while old releases are collected."""
    if previous == "old ones":
        for number in range(5):
            published(instance, f"old{number}", days_ago=9 - number)
    if previous != "none":
        published(instance, "good", days_ago=2)
    old = None if previous == "none" else "good"
    candidate = make_candidate(model="new")
    for at, returned, store in cut(partial(publish, candidate)):
        seen = woken_with(store)
        assert seen in (("new",) if returned else (old, "new")), at
        if returned:
            assert all(link.exists() for link in static_links(store)), at
        # The run is dead and its QC never passed: recover goes back.
        store.recover(current_run="the next one")
        assert live_model(store) == old, at
        again = store.publish(candidate, AGAIN)
        assert (again.switched, live_model(store)) == (True, "new"), at
