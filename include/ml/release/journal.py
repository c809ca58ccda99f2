"""The journal: what happened to which release, one JSON line an event, appended and fsynced under the lock."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ml import clock
from ml.files import fsync_file, fsync_folder
from ml.release.manifest import ReleaseError, RunToken

logger = logging.getLogger(__name__)


RESERVED = 256 * 1024
"""Bytes kept for the journal: a thousand records."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class Event(StrEnum):
    """What a journal line says happened to `release_id`."""

    INTENT = "intent"  # is about to become live instead of `previous`
    SWITCHED = "switched"  # has become live instead of `previous`
    ARCHIVED = "archived"  # is complete, but its data date is older than the live one's
    QC = "qc"  # QC has `passed` it or not
    FENCED = "fenced"  # run and try are dead; `release_id` is the release that is given up, if one is
    RESTORED = "restored"  # has become live again (null: nothing is live) instead of the given up `previous`
    ROLLED_BACK = "rolled_back"  # the operator `who` puts it back instead of `previous`; written before the switch
    COLLECTED = "collected"  # has been deleted


class Record(BaseModel):
    """One line of the journal."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime = Field(default_factory=clock.now)
    event: Event
    release_id: str | None = None
    previous: str | None = None
    run_id: str | None = None
    try_number: int | None = None
    reason: str | None = None
    who: str | None = None
    passed: bool | None = None
    log: str | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True)
class History:
    """The journal read once, with the questions the protocol asks of it."""

    records: tuple[Record, ...]

    def publications(self, release_id: str) -> Iterator[Record]:
        """The records of a release's publication, latest first (a retry that recognised it adds one)."""
        events = (Event.INTENT, Event.SWITCHED, Event.ARCHIVED)
        return (r for r in reversed(self.records) if r.event in events and r.release_id == release_id)

    def publisher(self, release_id: str) -> RunToken | None:
        """The run and the latest try that published a release; None when the journal does not know it."""
        for record in self.publications(release_id):
            if record.run_id and record.try_number:
                return RunToken(record.run_id, record.try_number)
        return None

    def last_try(self, run_id: str) -> int:
        """The highest try of a run that got as far as the journal; 0 when none did."""
        return max((r.try_number or 0 for r in self.records if r.run_id == run_id), default=0)

    def qc(self, release_id: str) -> Record | None:
        """The record of a release's last QC; None when there is none."""
        return next((r for r in reversed(self.records) if r.event is Event.QC and r.release_id == release_id), None)

    def qc_passed(self, release_id: str) -> bool | None:
        """The last QC outcome of a release; None when none was recorded."""
        record = self.qc(release_id)
        return record.passed if record else None

    def fence(self, token: RunToken) -> Record | None:
        """The last record that declares this try of the run dead: a fence at this try or a later one."""
        for record in reversed(self.records):
            of_run = record.event is Event.FENCED and record.run_id == token.run_id
            if of_run and (record.try_number or 0) >= token.try_number:
                return record
        return None

    def endorsed(self, release_id: str) -> bool:
        """Whether an operator put this release back, and nobody has given it up since: his word then stands."""
        for record in reversed(self.records):
            if record.release_id == release_id and record.event in (Event.ROLLED_BACK, Event.FENCED):
                return record.event is Event.ROLLED_BACK
        return False

    def given_up(self, release_id: str) -> bool:
        """Whether a release was restored away, or its run was declared dead before its QC passed."""
        if self.endorsed(release_id):
            return False
        if any(r.event is Event.FENCED and r.release_id == release_id for r in self.records):
            return True
        publisher = self.publisher(release_id)
        dead = publisher is not None and self.fence(publisher) is not None
        return dead and self.qc_passed(release_id) is not True

    def withdrawn(self, release_id: str) -> bool:
        """Whether readers were taken off a release: given up, QC failed, or an operator went back from it."""
        if self.given_up(release_id) or self.qc_passed(release_id) is False:
            return True
        for record in reversed(self.records):
            if record.event is Event.ROLLED_BACK and release_id in (record.release_id, record.previous):
                return record.release_id != release_id
        return False


class Journal:
    """An append-only file of records. Readers need no lock; whoever appends holds the room's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reserve = path.with_name(".reserve")

    def read(self) -> History:
        """Read all records.

        A last line without its newline was never acknowledged to anybody and does not count. A damaged line further
        up is left out with a warning: what it said is then unknown, which can only make the room more careful.
        """
        try:
            *lines, _unfinished = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return History(())
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(Record.model_validate_json(line))
            except ValidationError:
                logger.warning("%s, line %d is damaged and was left out", self.path, number)
        return History(tuple(records))

    def append(self, record: Record) -> None:
        """Append a record; it is on disk when this returns.

        Raises:
            ReleaseError: the journal cannot be written (disk full, permissions); nothing was recorded.
        """
        line = (record.model_dump_json(exclude_none=True) + "\n").encode()
        try:
            self._with_reserve(lambda: self._write(line))
        except OSError as error:
            raise ReleaseError(f"the journal {self.path} cannot be written: {error}") from error

    def settle(self) -> None:
        """Bring to disk what a process may have written that was killed before it could.

        Raises:
            OSError: the disk cannot.
        """
        if self.path.exists():
            self._with_reserve(lambda: fsync_file(self.path))

    def _with_reserve(self, write: Callable[[], None]) -> None:
        """Do it, on a full disk with the room that was kept: a restore must be possible there, it is needed there."""
        try:
            write()
        except OSError as error:
            if error.errno not in FULL or not self.reserve.exists():
                raise
            self.reserve.unlink()
            write()

    def make_reserve(self) -> None:
        """Keep some room on the disk, which `append` gives up when there is no other left."""
        if not self.reserve.exists() or self.reserve.stat().st_size != RESERVED:  # a crash may have left a part of it
            self.reserve.write_bytes(bytes(RESERVED))

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            end = _end_of_last_line(descriptor)
            try:
                os.ftruncate(descriptor, end)
                if os.pwrite(descriptor, line, end) != len(line):
                    raise OSError(errno.ENOSPC, "short write, the disk may be full")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)  # what the caller is told has failed must not count later
                raise
        finally:
            os.close(descriptor)
        if end == 0:  # nothing was acknowledged before: its name may not be on disk either
            fsync_folder(self.path.parent)


def _end_of_last_line(descriptor: int) -> int:
    """Where the next record goes: behind the last newline, so that a torn line is overwritten."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
