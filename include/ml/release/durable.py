"""File operations of a release: what they wrote is on disk when they return (more of them are in `ml.files`)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ml.files import fsync_folder

_CHUNK = 1 << 20


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 (hex) of exactly the bytes that were copied; the caller syncs."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def write_new(path: Path, text: str) -> None:
    """Write a new file and fsync it; the caller syncs the folder."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def forbid_writing(path: Path) -> None:
    """Take away everybody's permission to write a file, and leave the rest as the umask made it."""
    path.chmod(path.stat().st_mode & ~0o222)


def remove_link(link: Path) -> None:
    """Remove a symlink if it is there."""
    link.unlink(missing_ok=True)
    fsync_folder(link.parent)
