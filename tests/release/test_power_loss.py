"""The power fails at every point of every operation: what was acknowledged is there, and nothing is half there.

Each test plays an operation once, makes the disks that a power cut at each of its points may leave (power.py has the
model, docs/publishing.md says what it does not prove), and starts the room again on each of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from shutil import rmtree

import pytest

from ml.release import Candidate, Published, ReleaseError, ReleaseStore, RunToken
from ml.release.journal import RESERVED, Event
from tests.release.conftest import DATE, MakeCandidate, Publish
from tests.release.power import (
    Call,
    Moment,
    Take,
    Tree,
    as_fsynced,
    as_seen,
    play,
    power_cuts,
    visible,
    write_out,
)

SEEDS = 2  # random disks a moment, besides the three orderly ones
FIRST, SECOND = RunToken("night", 1), RunToken("night", 2)
# The quick one first: the mutation check stops at the first red.
PUBLISH = (
    "over",
    pytest.param("first", marks=pytest.mark.slow),
    "archived",
    pytest.param("collect", marks=pytest.mark.slow),
)


@dataclass(frozen=True)
class Found:
    """What the room comes back to: a store on one possible disk, and how far the operation had come."""

    moment: Moment = field(repr=False)
    instance: Path
    another: Callable[[], Path]
    """Make the instance of the same disk once more, as if nobody had touched it yet."""

    @cached_property
    def store(self) -> ReleaseStore:
        """The room, started again on this disk."""
        return _store(self.instance)

    def live(self, *, before: str | None, after: str | None, calls: int = 1) -> str | None:
        """What is live: one of both, but only `after` once that many calls have returned.

        It and every release that is listed is whole, and the journal has every line that was acknowledged.
        """
        journal = self.instance / "releases" / "journal.jsonl"
        found = journal.read_bytes() if journal.exists() else b""
        assert found.startswith(self.moment.acknowledged), "acknowledged lines of the journal are lost"
        live = _live_and_whole(self.store)
        assert live == after or (live == before and self.moment.returned < calls), f"{live} is live"
        return live

    def knows(self, event: Event, release_id: str) -> bool:
        """Whether the journal has such a line."""
        return any(r.event is event and r.release_id == release_id for r in self.store.journal())


_verified: dict[tuple[object, ...], list[str]] = {}


def _live_and_whole(store: ReleaseStore) -> str | None:
    """The live release; it is whole, and so is every release that is listed."""
    live = store.live()
    listed = [release.path for release in store.releases()]
    assert live is None or live.path in listed
    for path in listed:
        # What a release is compared with besides its own files is the release before it, which is listed too.
        content = tuple((file.name, _content(file)) for folder in listed for file in sorted(folder.iterdir()))
        key = (path.name, *content)
        if key not in _verified:
            _verified[key] = store.verify(path.name)
        assert _verified[key] == []
    return None if live is None else live.id


def _content(file: Path) -> object:
    """The content of a file, or the inode that all disks with the same large content share."""
    status = file.stat()
    return status.st_ino if status.st_nlink > 1 else file.read_bytes()


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance that does not exist yet, in a folder that is all the disk there is."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk" / "instance"


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have a disk of their own; the machine's may write when it likes."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@dataclass(frozen=True)
class Lab:
    """Plays operations, cuts the power, and counts."""

    folder: Path
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def blobs(self) -> Path:
        """Folder of all contents that files ever had."""
        path = self.folder / "blobs"
        path.mkdir(exist_ok=True)
        return path

    def play(self, *calls: Call) -> Take:
        """Run calls on the instance."""
        return play(self.folder / "disk", self.blobs, *calls)

    def survive(self, moments: list[Moment], check: Callable[[Found], None], seeds: int = SEEDS) -> None:
        """Check every disk that a power cut at one of these moments may leave."""
        seen = set()
        numbers = count()

        def start(tree: Tree) -> Path:
            root = self.folder / "disks" / str(next(numbers))
            write_out(tree, self.blobs, root)
            return root / "instance"

        for moment in moments:
            for kind, tree in power_cuts(moment, self.blobs, seeds):
                # What was promised by then is part of what is checked.
                key = (visible(tree), moment.acknowledged, moment.returned)
                if key in seen:
                    continue
                seen.add(key)
                found = Found(moment, start(tree), partial(start, tree))
                try:
                    check(found)
                except (AssertionError, pytest.fail.Exception, ReleaseError, OSError) as error:
                    raise AssertionError(f"power cut {moment.label}; on disk: {kind}; {error}") from error
                rmtree(self.folder / "disks")
        self.counts["crash points"] += len(moments)
        self.counts["distinct disks"] += len(seen)

    def killed_then(self, take: Take, *calls: Call) -> Iterator[Take]:
        """Kill the process of a take wherever that leaves something unsynced, and run calls on what it left."""
        seen = set()
        for number, moment in enumerate(take.moments):
            left, on_disk = visible(as_seen(moment)), visible(as_fsynced(moment))
            if left != on_disk and (left, on_disk) not in seen:
                seen.add((left, on_disk))
                root = self.folder / f"killed-{number}"
                write_out(as_seen(moment), self.blobs, root, copy=True)
                yield play(root, self.blobs, *calls, before=moment)
                rmtree(root)
        self.counts["processes killed"] = len(seen)
        assert seen


def _store(instance: Path) -> ReleaseStore:
    return ReleaseStore(instance, lock_timeout=5, keep=1, threads=1, memory_limit="500MB")


@pytest.fixture
def lab(instance: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[Lab]:
    lab = Lab(instance.parents[1])
    yield lab
    with capsys.disabled():
        counts = ", ".join(f"{number} {what}" for what, number in lab.counts.items())
        print(f"\n  {request.node.name}: {counts}", end=" ")


@dataclass(frozen=True)
class Night:
    """A candidate on its way over `before`, and the release it becomes or would become."""

    candidate: Candidate
    before: str | None
    archived: bool = False

    def publish(self, token: RunToken) -> Call:
        return "publish", (self.candidate, token), {}

    def look(self, found: Found, published: Published) -> str | None:
        """Old or new before it has returned, only what was promised afterwards."""
        new = self.before if self.archived else published.release_id
        live = found.live(before=self.before, after=new)
        if live == published.release_id:
            assert found.knows(Event.INTENT, live)
        if found.moment.returned:
            assert published.release_id in found.store.ids()
            assert found.store.get(published.release_id).id == published.release_id
            for link in ("analytics.duckdb", "data/claims_ml_scores.parquet"):
                assert (found.instance / link).exists()
        return live

    def look_and_retry(self, found: Found, published: Published) -> None:
        """Whatever is found, the run's next try goes through, before and after another run has recovered."""
        live = self.look(found, published)
        # The same run tries again at once, on what is there.
        at_once = _store(found.another())
        self._retry(at_once)
        restored = at_once.restore(SECOND, reason="QC failed")
        assert restored.live == _live_and_whole(at_once) == self.before

        # Another run clears up first: the dead run's QC never passed.
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.live, recovered.damage) == (self.before, ())
        assert _live_and_whole(found.store) == self.before
        assert not found.store.recover(current_run="the next one").restored
        if live == published.release_id:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(self.candidate, FIRST)
        self._retry(found.store)

    def _retry(self, store: ReleaseStore) -> None:
        again = store.publish(self.candidate, SECOND)
        assert (again.switched, again.previous) == (not self.archived, self.before)
        assert _live_and_whole(store) == (self.before if self.archived else again.release_id)
        assert store.verify(again.release_id) == []


@pytest.fixture
def night(request: pytest.FixtureRequest, publish: Publish, make_candidate: MakeCandidate) -> Night:
    """A night that publishes for the first time, over another release, an archived one, or one that collects."""
    if request.param == "first":
        return Night(make_candidate(model="night"), None)
    now = datetime.now(UTC)
    if request.param == "collect":
        for days in range(9, 5, -1):
            publish(f"night{days}", now=now - timedelta(days=days))
    good = publish("good", now=now - timedelta(days=5)).release_id
    archived = request.param == "archived"
    return Night(make_candidate(model="night", day=DATE - timedelta(days=archived)), good, archived)


@pytest.mark.parametrize("night", PUBLISH, indirect=True)
def test_publish(lab: Lab, night: Night) -> None:
    take = lab.play(night.publish(FIRST))
    lab.survive(take.moments, partial(night.look_and_retry, published=take.outcomes[0]))


@pytest.mark.parametrize("night", PUBLISH, indirect=True)
def test_publish_killed_then_tried_again(lab: Lab, night: Night) -> None:
    """Only a process died at first; the next one may not build on what it sees but what is not on disk yet."""
    for again in lab.killed_then(lab.play(night.publish(FIRST)), night.publish(SECOND)):

        def check(found: Found, published: Published = again.outcomes[0]) -> None:
            night.look(found, published)
            assert found.store.recover(current_run="the next one").live == night.before

        lab.survive(again.moments[-1:], check, seeds=0)


@dataclass(frozen=True)
class Back:
    """A failed night on top of `good`, and a way back."""

    candidate: Candidate
    good: str
    failed: str
    calls: tuple[Call, ...]

    def check(self, found: Found) -> None:
        """Never anything but the two; once back, the failed run is fenced, and stays so."""
        live = found.live(before=self.failed, after=self.good, calls=len(self.calls))
        if live == self.good:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(self.candidate, FIRST)
        if found.moment.returned and len(self.calls) > 1:
            assert found.store.qc_passed(self.failed) is False
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.live, recovered.damage) == (self.good, ())
        assert not found.store.restore("night", reason="late callback").restored
        assert _live_and_whole(found.store) == self.good
        with pytest.raises(ReleaseError, match="declared dead"):
            found.store.publish(self.candidate, FIRST)
        again = found.store.publish(self.candidate, SECOND)
        assert again.release_id != self.failed
        assert (_live_and_whole(found.store), again.previous) == (again.release_id, self.good)


WAYS_BACK: dict[str, tuple[Call, ...]] = {
    "restore": (("restore", (FIRST,), {"reason": "QC failed"}),),
    "recover": (("recover", (), {"current_run": "the next one"}),),
}


@pytest.fixture
def back(request: pytest.FixtureRequest, store: ReleaseStore, publish: Publish, make_candidate: MakeCandidate) -> Back:
    publish("older")
    good = publish("good").release_id
    candidate = make_candidate(model="night")
    failed = store.publish(candidate, FIRST).release_id
    calls = WAYS_BACK["restore" if request.param == "qc and restore" else request.param]
    if request.param == "qc and restore":
        calls = (("record_qc", (failed,), {"passed": False, "log": None}), *calls)
    return Back(candidate, good, failed, calls)


@pytest.mark.parametrize("back", [*WAYS_BACK, "qc and restore"], indirect=True)
def test_stepping_back(lab: Lab, back: Back) -> None:
    lab.survive(lab.play(*back.calls).moments, back.check)


@pytest.mark.parametrize("back", WAYS_BACK, indirect=True)
@pytest.mark.parametrize("by", WAYS_BACK)
def test_stepping_back_killed_then_again(lab: Lab, back: Back, by: str) -> None:
    """The second one finds nothing to do, and what it says is done must be on disk."""
    for again in lab.killed_then(lab.play(*back.calls), *WAYS_BACK[by]):
        lab.survive(again.moments[-1:], back.check)


@pytest.mark.parametrize("killed", [False, True])
def test_a_fence_alone(lab: Lab, publish: Publish, make_candidate: MakeCandidate, killed: bool) -> None:
    """Nothing of the run is live; once restore has returned, its dead try is refused."""
    good = publish("good").release_id
    candidate = make_candidate(model="night")
    take = lab.play(*WAYS_BACK["restore"])

    def check(found: Found) -> None:
        found.live(before=good, after=good)
        if found.moment.returned:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(candidate, FIRST)
        assert found.store.publish(candidate, SECOND).previous == good

    if not killed:
        lab.survive(take.moments, check)
        return
    for again in lab.killed_then(take, *WAYS_BACK["restore"]):
        lab.survive(again.moments[-1:], check)


def test_stepping_back_to_nothing(lab: Lab, publish: Publish) -> None:
    only = publish("night", qc=None).release_id
    take = lab.play(*WAYS_BACK["restore"])

    def check(found: Found) -> None:
        found.live(before=only, after=None)
        assert found.store.recover(current_run="the next one").live is None
        assert _live_and_whole(found.store) is None

    lab.survive(take.moments, check)


@pytest.mark.parametrize("killed", [False, True])
def test_rollback(lab: Lab, publish: Publish, killed: bool) -> None:
    """The operator's word is on disk before the switch is: recover leaves what he chose."""
    older, live = publish("older").release_id, publish("live").release_id
    call: Call = ("rollback", (older,), {"reason": "test", "who": "ops"})
    take = lab.play(call)

    def check(found: Found) -> None:
        now = found.live(before=live, after=older)
        assert now != older or found.knows(Event.ROLLED_BACK, older)
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.restored, recovered.live, recovered.damage) == (False, now, ())
        found.store.rollback(older, reason="again", who="ops")
        assert _live_and_whole(found.store) == older

    if not killed:
        lab.survive(take.moments, check)
        return
    for again in lab.killed_then(take, call):
        lab.survive(again.moments[-1:], check)


@pytest.mark.parametrize("passed", [True, False])
def test_a_qc_verdict(lab: Lab, publish: Publish, passed: bool) -> None:
    """Once the verdict was recorded, the next run's recover goes by it."""
    good, new = publish("good").release_id, publish("night", qc=None).release_id
    take = lab.play(("record_qc", (new,), {"passed": passed, "log": "log.json"}))

    def check(found: Found) -> None:
        found.live(before=new, after=new)
        verdict = found.store.qc_passed(new)
        assert verdict in ((passed,) if found.moment.returned else (None, passed))
        assert found.store.recover(current_run="the next one").live == (new if verdict else good)

    lab.survive(take.moments, check)


def test_a_verdict_whose_writer_was_killed_is_on_disk_when_somebody_went_by_it(lab: Lab, publish: Publish) -> None:
    publish("good")
    new = publish("night", qc=None).release_id
    take = lab.play(("record_qc", (new,), {"passed": True, "log": None}))

    def check(found: Found) -> None:
        found.live(before=new, after=new)
        assert found.store.qc_passed(new) is told  # "it passed its QC and stays"

    for again in lab.killed_then(take, *WAYS_BACK["restore"]):
        [restored] = again.outcomes
        told = None if restored.restored else True
        if told:
            lab.survive(again.moments[-1:], check)


def test_the_journals_reserve_is_whole_again_after_the_next_publish(lab: Lab, make_candidate: MakeCandidate) -> None:
    """A power cut may leave its name without its content; an empty file keeps no room free."""
    candidate = make_candidate(model="night")
    take = lab.play(("publish", (candidate, FIRST), {}))

    def check(found: Found) -> None:
        found.store.recover(current_run="the next one")
        found.store.publish(candidate, SECOND)
        assert (found.instance / "releases" / ".reserve").stat().st_size == RESERVED

    lab.survive(take.moments[-1:], check)
