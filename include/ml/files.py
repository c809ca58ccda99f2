"""Small file operations that survive a crash: what is named is complete, what is incomplete has no name."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from ml.clock import now, stamp

log = logging.getLogger(__name__)


def fsync_file(path: Path) -> None:
    """Force a file's content to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Force a folder's entries (names) to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(path: Path) -> None:
    """Make a folder and those above it, where missing, and force their names to disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)


def replace_durably(source: Path, target: Path) -> None:
    """Give a finished file its final name, atomically, and force both content and name to disk."""
    fsync_file(source)
    source.replace(target)
    fsync_folder(target.parent)


def point_link(link: Path, target: str) -> None:
    """Make a symbolic link point at `target` (relative to the link), atomically.

    A file of that name is somebody's, of a system before perhaps: it is kept beside the link, and a warning says where.
    """
    if link.is_file() and not link.is_symlink():
        kept = link.with_name(f"{link.name}.before-{stamp(now())}")
        link.rename(kept)
        log.warning("%s was a file and no link of ours: it is kept as %s", link, kept)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    fsync_folder(link.parent)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content as hex, reading it in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
