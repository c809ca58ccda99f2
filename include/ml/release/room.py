"""The folder the releases live in: its lock, its journal, and `current`, the one thing readers follow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ml.files import fsync_folder, make_folders, point_link
from ml.release.durable import remove_link
from ml.release.journal import Event, History, Journal
from ml.release.manifest import (
    DATABASE,
    MANIFEST,
    SCORES,
    Release,
    ReleaseError,
    RunToken,
    created_at_of_id,
    read_release,
)

WAITING = ".waiting-"
RUNNING = ".running-"


@dataclass(frozen=True)
class Room:
    """Paths and settings of an instance's releases. Looking takes no lock; everything that writes runs in `locked`."""

    instance: Path
    lock_timeout: float
    keep: int
    keep_age: timedelta
    memory_limit: str
    threads: int

    @property
    def releases(self) -> Path:
        """Folder of the releases."""
        return self.instance / "releases"

    @property
    def current(self) -> Path:
        """The symlink to the live release."""
        return self.instance / "current"

    @cached_property
    def journal(self) -> Journal:
        """The journal of all releases."""
        return Journal(self.releases / "journal.jsonl")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the room's file lock; the kernel frees it when the process dies.

        Raises:
            ReleaseError: another process held it for longer than `lock_timeout` seconds.
        """
        make_folders(self.releases)
        lock = FileLock(self.releases / ".lock")
        try:
            lock.acquire(timeout=self.lock_timeout)
        except Timeout:
            raise ReleaseError(
                f"{lock.lock_file} was held by another process for {self.lock_timeout:g} s: "
                "a publish or restore is still running (fuser names it); try again when it has ended"
            ) from None
        try:
            self._settle()
            yield
        finally:
            lock.release()

    def _settle(self) -> None:
        """Bring to disk what the one before may have switched without reaching the disk: what follows relies on it."""
        try:
            self.journal.settle()
            for folder in (self.releases, self.instance):
                fsync_folder(folder)
            with suppress(PermissionError):  # somebody else's folder; its names are his to bring to disk
                fsync_folder(self.instance.parent)
        except OSError as error:
            raise ReleaseError(f"{self.instance} cannot be brought to disk, nothing was changed: {error}") from error

    @contextmanager
    def at_the_door(self, token: RunToken) -> Iterator[None]:
        """Let it be known that a try has come to publish, so that a restore that gets the lock first can fence it."""
        make_folders(self.releases)
        note = self.releases / f"{_waiting(token.run_id)}{token.try_number}.{uuid4().hex}"
        note.touch()
        try:
            yield
        finally:
            with suppress(OSError):  # sweep removes it; it must not make a failure of what has gone well
                note.unlink()

    def last_try_at_the_door(self, run_id: str) -> int:
        """Return the highest try of a run that waits to publish, or was killed while it published; 0 when none."""
        prefix = _waiting(run_id)
        return max(
            (int(note.name[len(prefix) :].split(".")[0]) for note in self.releases.glob(f"{prefix}*")), default=0
        )

    @contextmanager
    def running(self, run_id: str) -> Iterator[None]:
        """Let it be known, as long as this process lives, that the run's QC is still to come."""
        make_folders(self.releases)
        mark = self.releases / f"{RUNNING}{_short(run_id)}"
        with FileLock(mark):
            try:
                yield
            finally:
                mark.unlink(missing_ok=True)

    def is_running(self, run_id: str) -> bool:
        """Tell whether a process is inside `running` for this run."""
        mark = self.releases / f"{RUNNING}{_short(run_id)}"
        if not mark.exists():
            return False
        try:
            with FileLock(mark, blocking=False):
                return False
        except Timeout:
            return True

    def live_id(self) -> str | None:
        """Resolve `current` once; None when no release is live.

        Raises:
            ReleaseError: `current` is there but is not a link to a release.
        """
        try:
            target = self.current.readlink()
        except FileNotFoundError:
            return None
        except OSError:
            raise ReleaseError(f"{self.current} is not a symlink, and nothing of ours: move it away") from None
        if target.parent != Path(self.releases.name):
            raise ReleaseError(f"{self.current} points to {target}, not into {self.releases.name}/: remove it")
        return target.name

    def switch(self, release_id: str | None) -> None:
        """Make a release live, or none, in one step that is on disk when this returns.

        Raises:
            ReleaseError: the link could not be moved, or not be brought to disk; either may be live now.
        """
        try:
            if release_id is None:
                remove_link(self.current)
            else:
                point_link(self.current, f"{self.releases.name}/{release_id}")
        except OSError as error:
            raise ReleaseError(
                f"{self.current} could not be moved to {release_id or 'no release'} for certain: {error}. Readers see "
                "a whole release, the one before or this one; when the disk is well again, recover puts it right"
            ) from error

    def get(self, release_id: str) -> Release:
        """Return a release, trusting its files.

        Raises:
            ReleaseError: there is none of that id, or its manifest is damaged.
        """
        return read_release(self.releases, release_id)

    def all(self) -> list[Release]:
        """Return the complete releases, oldest first; what is no release is left out."""
        found = []
        for path in sorted(self.releases.glob("[!.]*/")):
            try:
                found.append(read_release(self.releases, path.name))
            except ReleaseError:
                continue
        return sorted(found, key=lambda release: (release.manifest.created_at, release.id))

    def ids(self) -> list[str]:
        """Return the id of every release that should be here, oldest first: whole, damaged or vanished."""
        known = {path.parent.name for path in self.releases.glob(f"[!.]*/{MANIFEST}")}
        for record in self.journal.read().records:
            if record.release_id and record.event in (Event.SWITCHED, Event.ARCHIVED):
                known.add(record.release_id)
            elif record.release_id and record.event is Event.COLLECTED:
                known.discard(record.release_id)
        made = {release.id: release.manifest.created_at for release in self.all()}
        return sorted(known, key=lambda each: (made.get(each) or created_at_of_id(each), each))

    def publisher(self, history: History, release_id: str) -> RunToken | None:
        """Return who published a release, from the journal or else its manifest; None when neither can tell."""
        known = history.publisher(release_id)
        if known is not None:
            return known
        try:
            manifest = self.get(release_id).manifest
        except ReleaseError:
            return None
        return RunToken(manifest.run_id, manifest.try_number)

    def ancestors(self, history: History, release_id: str) -> Iterator[str]:
        """Walk from a release to the one that was live before it, and on; some may be collected or damaged."""
        seen = {release_id}
        older = self._previous(history, release_id)
        while older is not None and older not in seen:
            yield older
            seen.add(older)
            older = self._previous(history, older)

    def _previous(self, history: History, release_id: str) -> str | None:
        for record in history.publications(release_id):
            return record.previous
        try:
            return self.get(release_id).manifest.previous
        except ReleaseError:
            return None

    def make_static_links(self) -> None:
        """Make the links under the paths of the old system, which always lead through `current`.

        Raises:
            ReleaseError: a real file of the old system, or a foreign link, stands there. It is left alone, because
                only its owner knows whether its scores are still wanted.
        """
        wanted = {
            self.instance / "data" / SCORES: f"../{self.current.name}/{SCORES}",
            self.instance / DATABASE: f"{self.current.name}/{DATABASE}",
        }
        for link, target in wanted.items():
            there = link.is_symlink() and str(link.readlink()) == target
            if not there and (link.is_symlink() or link.exists()):
                raise ReleaseError(
                    f"{link} is in the way: it should be a link to {target}. It was left as it is. If it comes from "
                    f"the system before releases, keep it with `mv {link} {link}.old`, then publish again"
                )
            if not there:
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(target)
            fsync_folder(link.parent)  # also of one that is there: its maker may have been killed before this


def _waiting(run_id: str) -> str:
    return f"{WAITING}{_short(run_id)}-"


def _short(run_id: str) -> str:
    """A run id may be longer than a file name, and hold what a file name may not."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:16]
