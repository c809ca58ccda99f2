"""A disk that loses power: what an operation has fsynced is kept, and anything may have become of the rest.

`play` runs an operation of the room in a process of its own and notes, before and after everything that changes the
instance, what every file and folder holds (`now`) and what it held at its last fsync (`disk`). `power_cuts` makes from
one such moment the trees that a disk may come back with. What DuckDB fsyncs by itself is not seen: it counts as lost.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty
from typing import Any, TypeAlias

from ml.release import ReleaseStore
from ml.release.journal import Journal, Record
from tests.release.processes import SPAWN

Entry: TypeAlias = int | str
"""What a name in a folder stands for: a file or folder by a number of its own, or where a symlink leads."""

Call: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A method of the store with its arguments."""

Tree: TypeAlias = dict[str, str]
"""What stands on a disk: path -> `folder`, `link <target>` or `file <hash of its content>`."""

ROOT = 0
NOTHING = hashlib.sha256(b"").hexdigest()
SECTOR = 512
SMALL = 1 << 16
SWEPT = (".building-", ".trash-")
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"}


@dataclass(frozen=True)
class View:
    """What is in every file (the hash of its content) and in every folder (its names)."""

    files: Mapping[int, str]
    folders: Mapping[int, Mapping[str, Entry]]


@dataclass(frozen=True)
class Moment:
    """The instance at one moment: as every process sees it, and each of its parts as it was at its last fsync.

    `disk` knows every file and folder ever seen; one that was never fsynced is empty there.
    """

    label: str
    now: View
    disk: View
    acknowledged: bytes  # the journal when the last append returned
    returned: int  # how many of the calls have returned


@dataclass(frozen=True)
class Take:
    """What a process did: its moments in order, and what its calls returned."""

    moments: list[Moment]
    outcomes: list[Any]


def play(root: Path, blobs: Path, *calls: Call, before: Moment | None = None) -> Take:
    """Run calls of the store in `root / "instance"` one after the other, in a process of its own.

    Without `before` all that is in `root` counts as on disk. With it, `root` holds what that moment's processes saw
    (they were killed, the machine was not), and what had reached the disk then is still all that has.
    """
    queue = SPAWN.Queue()
    process = SPAWN.Process(target=_record, args=(queue, root, blobs, calls, before), daemon=True)
    process.start()
    try:
        take = queue.get(timeout=60)
    except Empty:
        raise AssertionError(f"{calls}: the process ended with {process.exitcode} or hangs") from None
    finally:
        process.join(10)
    if isinstance(take, str):
        raise AssertionError(f"{calls}: {take}")
    assert isinstance(take, Take)
    return take


def _record(queue: Any, root: Path, blobs: Path, calls: tuple[Call, ...], before: Moment | None) -> None:
    try:
        recorder = _Recorder(root, blobs, before)
        recorder.watch()
        store = ReleaseStore(root / "instance", lock_timeout=5, keep=1, threads=1, memory_limit="500MB")
        outcomes = []
        for method, arguments, options in calls:
            outcomes.append(getattr(store, method)(*arguments, **options))
            recorder.returned += 1
            recorder.look(f"{method} has returned")
        queue.put(Take(recorder.moments, outcomes))
    except BaseException as error:
        queue.put(repr(error))
        raise


class _Recorder:
    """Follows what the process it lives in does to the folder `root`."""

    def __init__(self, root: Path, blobs: Path, before: Moment | None) -> None:
        self._root, self._blobs = root, blobs
        self._held: dict[int, tuple[int, int]] = {}
        self._hashed: dict[tuple[int, ...], str] = {}
        self._looking = False
        self.moments: list[Moment] = []
        self.returned = 0
        self._number, self._acknowledged = ROOT, b""
        self._disk_files: dict[int, str] = {}
        self._disk_folders: dict[int, Mapping[str, Entry]] = {}
        if before is None:
            now = self._see()
            self._disk_files.update(now.files)
            self._disk_folders.update(now.folders)
        else:
            self._recognise(root, ROOT, before.now)
            self._disk_files.update(before.disk.files)
            self._disk_folders.update(before.disk.folders)
            self._number = 1 + max([*self._disk_files, *self._disk_folders])
            self._acknowledged = before.acknowledged

    def watch(self) -> None:
        """Look before and after everything from here on that changes or syncs a file or folder of this process."""
        sys.addaudithook(self._before)
        for name in ("fsync", "fdatasync"):  # the machine's own disk need not be waited for
            setattr(os, name, self._around(name, self._synced))
        os.pwrite = self._around("pwrite", os.pwrite)
        append = Journal.append

        def acknowledge(journal: Journal, record: Record) -> None:
            append(journal, record)
            self._acknowledged = journal.path.read_bytes()
            self.look("the journal has acknowledged")

        Journal.append = acknowledge  # type: ignore[assignment, method-assign]

    def look(self, label: str) -> None:
        """Note the moment, unless nothing has changed since the last."""
        if self._looking:
            return
        self._looking = True
        try:
            now = self._see()
            disk = View(dict(self._disk_files), dict(self._disk_folders))
            moment = Moment(label, now, disk, self._acknowledged, self.returned)
            if not self.moments or replace(self.moments[-1], label=label) != moment:
                self.moments.append(moment)
        finally:
            self._looking = False

    def _before(self, event: str, arguments: tuple[Any, ...]) -> None:
        creates = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if creates or event in CHANGES:
            self.look(f"before {event} {arguments[0]}")

    def _around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def around(descriptor: int, *arguments: Any) -> Any:
            self.look(f"before os.{name}")
            result = function(descriptor, *arguments)
            self.look(f"after os.{name}")
            return result

        return around

    def _synced(self, descriptor: int) -> None:
        now = self._see()
        number, _ = self._held.get(os.fstat(descriptor).st_ino, (-1, 0))
        if number in now.folders:
            self._disk_folders[number] = now.folders[number]
        elif number in now.files:
            self._disk_files[number] = now.files[number]

    def _see(self) -> View:
        was, self._looking = self._looking, True
        try:
            files: dict[int, str] = {}
            folders: dict[int, Mapping[str, Entry]] = {}
            self._see_folder(self._root, files, folders)
        finally:
            self._looking = was
        for number in files:
            self._disk_files.setdefault(number, NOTHING)
        for number in folders:
            self._disk_folders.setdefault(number, {})
        return View(files, folders)

    def _see_folder(self, path: Path, files: dict[int, str], folders: dict[int, Mapping[str, Entry]]) -> int:
        entries: dict[str, Entry] = {}
        number, _ = self._hold(path)
        with os.scandir(path) as found:
            for entry in found:
                child = path / entry.name
                if entry.is_symlink():
                    entries[entry.name] = str(child.readlink())
                elif entry.is_dir():
                    entries[entry.name] = self._see_folder(child, files, folders)
                else:
                    below, descriptor = self._hold(child)
                    entries[entry.name] = below
                    files[below] = self._blob(descriptor)
        folders[number] = entries
        return number

    def _hold(self, path: Path) -> tuple[int, int]:
        """Our number of a file or folder and an open descriptor; as long as that is open, its inode is not reused.

        It is never closed: closing any descriptor of a file would free the lock DuckDB has on it.
        """
        inode = path.lstat().st_ino
        if inode not in self._held:
            self._held[inode] = self._number, os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            self._number += 1
        return self._held[inode]

    def _blob(self, descriptor: int) -> str:
        """Keep a file's content under its hash, which is returned."""
        stat = os.fstat(descriptor)
        key = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if stat.st_size > SMALL and key in self._hashed:
            return self._hashed[key]
        name = keep(self._blobs, os.pread(descriptor, stat.st_size, 0))
        self._hashed[key] = name
        return name

    def _recognise(self, path: Path, number: int, view: View) -> None:
        """Give what is in a folder the numbers it had in the process that was killed."""
        self._held[path.lstat().st_ino] = number, os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        for name, entry in view.folders.get(number, {}).items():
            if isinstance(entry, int):
                self._recognise(path / name, entry, view)


def keep(blobs: Path, content: bytes) -> str:
    """Write content into the folder of contents, under its hash, which is returned."""
    name = hashlib.sha256(content).hexdigest()
    if not (blobs / name).exists():
        (blobs / name).write_bytes(content)
    return name


def power_cuts(moment: Moment, blobs: Path, seeds: int) -> Iterator[tuple[str, Tree]]:
    """The disks that a power cut at this moment may leave, each with the name of its kind."""
    disk, now = moment.disk, moment.now
    yield "only what was fsynced", as_fsynced(moment)
    # What ext4 was known for: the new name has reached the disk before the content.
    yield "names before contents", _tree({**disk.folders, **now.folders}, disk.files)
    yield "all (only the process died)", as_seen(moment)
    for seed in range(seeds):
        mix = random.Random(f"{seed} {moment.label}")  # noqa: S311
        folders = {
            number: _some_names(names, now.folders.get(number, {}), mix) for number, names in disk.folders.items()
        }
        files = {number: _some_content(blobs, old, now.files.get(number), mix) for number, old in disk.files.items()}
        yield f"mix {seed}", _tree(folders, files)


def as_seen(moment: Moment) -> Tree:
    """What processes see at this moment, and still see when only a process was killed."""
    return _tree(moment.now.folders, moment.now.files)


def as_fsynced(moment: Moment) -> Tree:
    """What is certain to be on disk at this moment."""
    return _tree(moment.disk.folders, moment.disk.files)


def _some_names(old: Mapping[str, Entry], new: Mapping[str, Entry], mix: random.Random) -> dict[str, Entry]:
    """Some of a folder's changes, but a rename in it wholly or not at all, as every journalling file system has it."""
    mixed = dict(old)
    heads: dict[Entry, bool] = {}
    for name in sorted({*old, *new}):
        was, is_now = old.get(name), new.get(name)
        moved = is_now if isinstance(is_now, int) else was
        what: Entry = moved if isinstance(moved, int) else name
        if was != is_now and heads.setdefault(what, mix.random() < 0.5):
            mixed.pop(name, None)
            if is_now is not None:
                mixed[name] = is_now
    return mixed


def _some_content(blobs: Path, old: str, new: str | None, mix: random.Random) -> str:
    """What may have become of a file: the old content, the new, a part of it, or its length with zeros for a part."""
    if new is None or old == new:
        return old
    before, written = (blobs / old).read_bytes(), (blobs / new).read_bytes()
    kept = len(before) if written.startswith(before) else 0  # what was synced and not written since is not lost
    kind = mix.choice(["old", "new", "cut", "zeros", "holes"])
    if kind == "old":
        return old
    if kind == "cut":
        return keep(blobs, written[: mix.randint(kept, len(written))])
    if kind == "zeros":
        return keep(blobs, written[:kept] + bytes(len(written) - kept))
    if kind == "holes":
        sectors = [written[at : at + SECTOR] for at in range(kept, len(written), SECTOR)]
        holed = [sector if mix.random() < 0.5 else bytes(len(sector)) for sector in sectors]
        return keep(blobs, written[:kept] + b"".join(holed))
    return new


def _tree(folders: Mapping[int, Mapping[str, Entry]], files: Mapping[int, str]) -> Tree:
    tree: Tree = {}

    def add(folder: int, path: str) -> None:
        for name, entry in sorted(folders.get(folder, {}).items()):
            below = f"{path}{name}"
            if isinstance(entry, str):
                tree[below] = f"link {entry}"
            elif entry in files:
                tree[below] = f"file {files[entry]}"
            else:
                tree[below] = "folder"
                add(entry, f"{below}/")

    add(ROOT, "")
    return tree


def visible(tree: Tree) -> frozenset[tuple[str, str]]:
    """A disk without what lies in folders that are swept unread: disks that differ only there are the same."""
    return frozenset(
        (path, what) for path, what in tree.items() if not any(part.startswith(SWEPT) for part in path.split("/")[:-1])
    )


def write_out(tree: Tree, blobs: Path, root: Path, *, copy: bool = False) -> None:
    """Make a disk of a tree in a new folder; large contents are shared by hard links unless `copy`."""
    root.mkdir(parents=True)
    for name, what in tree.items():
        kind, _, rest = what.partition(" ")
        path = root / name
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(rest)
        elif copy or (blobs / rest).stat().st_size <= SMALL:
            path.write_bytes((blobs / rest).read_bytes())
        else:
            path.hardlink_to(blobs / rest)
