"""Folders for what still holds participant numbers (a converted .dta, spilled rows), and what killed runs left of them.

A folder in use is known by its lock, which the kernel frees with the process; a process number says nothing in another
container, and is used again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

SCRATCH = "scratch-"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder within another one; gone afterwards, and safe from `sweep_scratch` until then."""
    scratch = parent / f"{SCRATCH}{uuid4().hex}"
    with _locked(scratch):  # before the folder is there, so that it never stands without its lock
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def sweep_scratch(work: Path) -> None:
    """Remove the folders that no process uses, also those of the ETL within an evaluation's folder."""
    for scratch in work.glob(f"**/etl/*/{SCRATCH}*/"):
        with suppress(OSError), _locked(scratch, blocking=False):  # filelock.Timeout, an OSError: it is in use
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(scratch: Path, *, blocking: bool = True) -> Iterator[None]:
    """Hold the folder's lock, a file beside it that goes with it; no other folder ever has that name."""
    mark = scratch.with_name(f"{scratch.name}.lock")
    with FileLock(mark, blocking=blocking):
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)
