"""A model of a disk that loses power: what was not fsynced may be gone, whatever the page cache made of it.

The model runs inside the process that publishes or restores. At every fsync through Python it notes what is now on
disk: a file's bytes, or a folder's names. DuckDB's own fsyncs are not seen, which is stricter than reality. Before and
after each fsync, and before each change of a name, it writes down the disks that a power cut could leave at that very
moment; the test then wakes up on each of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link"}
SEEDS = 2
"""Random mixes of lost and kept changes at each point, besides the two orderly disks."""

Entry = tuple[str, int | str]
"""A name in a folder: ("link", its target), or ("file" or "folder", its inode)."""
Tree = dict[str, "bytes | str | None"]
"""A disk: path -> content of a file, `->target` of a link, None for a folder."""


class Disk:
    """What is on disk under `root`, and the disks a power cut could have left so far, written to `out`."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root, self.out = root, out
        self.files: dict[int, bytes] = {}
        self.stamps: dict[int, tuple[int, int]] = {}
        self.folders: dict[int, dict[str, Entry]] = {}
        self.points = 0
        self.found: dict[str, dict[str, Any]] = {}
        self.returned = False
        self._pins: list[int] = []  # an inode that is still open is not given to another file
        self._pinned: set[int] = set()
        self._looking = False
        for path in [root, *root.rglob("*")]:  # whatever was there before is on disk
            self._note(path)

    def watch(self) -> None:
        """Look at every fsync and every change of a name of this process from now on."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            self.point("before fsync")
            real(descriptor)
            self._guarded(lambda: self._note(Path(f"/proc/self/fd/{descriptor}").readlink()))
            self.point("after fsync")

        os.fsync = fsync
        sys.addaudithook(lambda event, _: self.point(f"before {event}") if event in NAME_CHANGES else None)

    def point(self, label: str) -> None:
        """Write down every disk that a power cut right now could leave, unless it was seen before."""
        self._guarded(lambda: self._point(label))

    def close(self) -> None:
        """Write down what was found."""
        index = {"points": self.points, "disks": list(self.found.values())}
        (self.out / "index.json").write_text(json.dumps(index))

    def _guarded(self, look: Callable[[], None]) -> None:
        if not self._looking:
            self._looking = True
            try:
                look()
            finally:
                self._looking = False

    def _note(self, path: Path) -> None:
        """This file's content, or this folder's names, are on disk now."""
        status = path.lstat()
        self._pin(path, status.st_ino)
        if stat.S_ISREG(status.st_mode):
            self.files[status.st_ino] = path.read_bytes()
            self.stamps[status.st_ino] = (status.st_size, status.st_mtime_ns)
        elif stat.S_ISDIR(status.st_mode):
            self.folders[status.st_ino] = self._names(path)

    def _names(self, folder: Path) -> dict[str, Entry]:
        names: dict[str, Entry] = {}
        for path in folder.iterdir():
            status = path.lstat()
            self._pin(path, status.st_ino)
            if stat.S_ISLNK(status.st_mode):
                names[path.name] = ("link", str(path.readlink()))
            else:
                names[path.name] = ("folder" if stat.S_ISDIR(status.st_mode) else "file", status.st_ino)
        return names

    def _pin(self, path: Path, inode: int) -> None:
        if inode not in self._pinned:
            self._pinned.add(inode)
            self._pins.append(os.open(path, os.O_PATH | os.O_NOFOLLOW))

    def _point(self, label: str) -> None:
        self.points += 1
        now_folders: dict[int, dict[str, Entry]] = {}
        now_files: dict[int, Path] = {}
        for path in [self.root, *self.root.rglob("*")]:
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                now_folders[status.st_ino] = self._names(path)
            elif stat.S_ISREG(status.st_mode):
                now_files[status.st_ino] = path
        orderly = (("strict", self.folders), ("names only", now_folders))
        for kind, folders in orderly:
            self._keep(label, kind, self._tree(folders, lambda inode: self.files.get(inode, b"")))
        for seed in range(SEEDS):
            luck = random.Random(f"{self.points} {seed}")  # noqa: S311 - repeatable, not secret
            mixed = {inode: self._some_names(inode, now_folders, luck) for inode in self.folders | now_folders}
            files = {inode: self._some_content(inode, now_files, luck) for inode in sorted(self.files | now_files)}
            self._keep(label, f"mix {seed}", self._tree(mixed, lambda inode, files=files: files.get(inode, b"")))

    def _some_names(self, inode: int, now: dict[int, dict[str, Entry]], luck: random.Random) -> dict[str, Entry]:
        """Of each name that changed since the folder's last fsync, the old state or the new one."""
        before, after = self.folders.get(inode, {}), now.get(inode, {})
        chosen = {name: luck.choice((before, after)).get(name) for name in sorted(before | after)}
        return {name: entry for name, entry in chosen.items() if entry is not None}

    def _some_content(self, inode: int, now: dict[int, Path], luck: random.Random) -> bytes:
        """Of a file that changed since its last fsync: the old content, the new one, or the new one cut off.

        What was on disk and has not changed since is not cut off: an append does not touch it.
        """
        before, path = self.files.get(inode, b""), now.get(inode)
        if path is None:
            return before
        status = path.stat()
        if self.stamps.get(inode) == (status.st_size, status.st_mtime_ns):
            return before
        after = path.read_bytes()
        pairs = enumerate(zip(before, after, strict=False))
        same = next((place for place, (old, new) in pairs if old != new), min(len(before), len(after)))
        return luck.choice((before, after, after[: luck.randint(same, len(after))]))

    def _tree(self, folders: dict[int, dict[str, Entry]], content: Callable[[int], bytes]) -> Tree:
        tree: Tree = {}

        def walk(inode: int, at: str) -> None:
            for name, (kind, what) in sorted(folders.get(inode, {}).items()):
                path = f"{at}/{name}" if at else name
                if kind == "link":
                    tree[path] = f"->{what}"
                elif kind == "file":
                    tree[path] = content(int(what))
                else:
                    tree[path] = None
                    walk(int(what), path)

        walk(self.root.lstat().st_ino, "")
        return tree

    def _keep(self, label: str, kind: str, tree: Tree) -> None:
        digest = hashlib.sha256(repr(self.returned).encode())
        for path, content in tree.items():
            data = content if isinstance(content, bytes) else repr(content).encode()
            digest.update(f"{path} {len(data)} ".encode() + data)
        key = digest.hexdigest()
        if key in self.found:
            return
        folder = self.out / f"{len(self.found):04}"
        self.found[key] = {"at": f"{label} ({kind})", "returned": self.returned, "folder": str(folder)}
        folder.mkdir()
        for path, content in tree.items():
            target = folder / path
            if content is None:
                target.mkdir()
            elif isinstance(content, str):
                target.symlink_to(content.removeprefix("->"))
            else:
                self._write(target, content)

    def _write(self, target: Path, content: bytes) -> None:
        """Large files are never written to again, so that all disks can share one."""
        if len(content) < 65_536:
            target.write_bytes(content)
            return
        stored = self.out / f"content-{hashlib.sha256(content).hexdigest()}"
        if not stored.exists():
            stored.write_bytes(content)
        os.link(stored, target)


def run(root: Path, out: Path, operation: Callable[[Path], None]) -> None:
    """Run an operation on the instance under `root` and write down every disk it could leave without power."""
    disk = Disk(root, out)
    disk.watch()
    operation(root / "instance")
    disk.returned = True
    disk.point("after the return")
    disk.close()
