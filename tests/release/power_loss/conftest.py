"""The power fails at every point of every operation: what was acknowledged is there, and nothing is half there.

Each test plays an operation once, makes the disks that a power cut at each of its points may leave (power.py has the
model, docs/publishing.md says what it does not prove), and starts the room again on each of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from shutil import rmtree

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from ml.release.journal import Event
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
        return open_store(self.instance)

    def live(self, *, before: str | None, after: str | None, calls: int = 1) -> str | None:
        """What is live: one of both, but only `after` once that many calls have returned.

        It and every release that is listed is whole, and the journal has every line that was acknowledged.
        """
        journal = self.instance / "releases" / "journal.jsonl"
        found = journal.read_bytes() if journal.exists() else b""
        assert found.startswith(self.moment.acknowledged), "acknowledged lines of the journal are lost"
        live = live_and_whole(self.store)
        assert live == after or (live == before and self.moment.returned < calls), f"{live} is live"
        return live

    def knows(self, event: Event, release_id: str) -> bool:
        """Whether the journal has such a line."""
        return any(r.event is event and r.release_id == release_id for r in self.store.journal())


_verified: dict[tuple[object, ...], list[str]] = {}


def live_and_whole(store: ReleaseStore) -> str | None:
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


def open_store(instance: Path) -> ReleaseStore:
    return ReleaseStore(instance, lock_timeout=5, keep=1, threads=1, memory_limit="500MB")


@pytest.fixture
def lab(instance: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[Lab]:
    lab = Lab(instance.parents[1])
    yield lab
    with capsys.disabled():
        counts = ", ".join(f"{number} {what}" for what, number in lab.counts.items())
        print(f"\n  {request.node.name}: {counts}", end=" ")
