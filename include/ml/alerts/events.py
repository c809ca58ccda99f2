"""The alert book: what became of the runs, and which alert went out on which channel, in `instance/alerts/`.

Task processes, the DAG processor and the watchdog all write here, at any time and without a lock: events are whole
lines appended to `events.jsonl`, and the right to send an alert is a file that only one process can create. Neither
needs room on the disk that a full one lacks at once, and an unwritable book costs at worst a second alert.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ml import clock

log = logging.getLogger(__name__)

SENDING_SECONDS = 120
"""How long a sender may take before somebody else may send in its place: a killed one never says that it failed."""


class Kind(StrEnum):
    """What an event says."""

    BEGUN = "begun"  # a run has started its first task
    FAILED = "failed"  # a task (None: the run itself) failed for good
    SUCCEEDED = "succeeded"  # a run succeeded
    ENDED = "ended"  # a run failed, and somebody has looked after it
    TOLD = "told"  # an alert about it has gone out


class Event(BaseModel):
    """One line of the book. `attempt` counts how often the run was cleared; `alert` names the alert that was told."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime = Field(default_factory=clock.now)
    kind: Kind
    dag_id: str
    run_id: str | None = None
    attempt: int = 0
    data_date: date | None = None
    task_id: str | None = None
    error: str | None = None
    alert: str | None = None


@dataclass(frozen=True)
class RunKey:
    """An attempt of a run: clearing a finished run begins a new one."""

    dag_id: str
    run_id: str
    attempt: int = 0


class AlertBook:
    """The book of one instance.

    Args:
        folder: `instance/alerts`; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "events.jsonl"

    def note(self, event: Event) -> bool:
        """Append an event; return whether that worked. Never raises: a full disk must not keep an alert back."""
        line = (event.model_dump_json(exclude_none=True) + "\n").encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line)  # one call, so that lines of two processes do not mix
            finally:
                os.close(descriptor)
        except OSError:
            log.exception("%s cannot be written; an alert may go out twice", self._path)
            return False
        return True

    def events(self) -> list[Event]:
        """Return all events, oldest first; damaged lines are left out."""
        return list(self._read())

    def claim(self, key: str, channel: str) -> bool:
        """Take the right to send an alert on a channel; False when it was sent, or somebody is sending it.

        Who does not call `settle` within `SENDING_SECONDS` loses the right. When the folder cannot be written,
        everybody gets it: two alerts are better than none.
        """
        sending, sent = self._marks(key, channel)
        try:
            if sent.exists():
                return False
            sending.parent.mkdir(parents=True, exist_ok=True)
            if sending.exists() and time.time() - sending.stat().st_mtime > SENDING_SECONDS:
                sending.unlink(missing_ok=True)
            sending.touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError:
            log.exception("%s cannot be written; an alert may go out twice", sending.parent)
        return True

    def settle(self, key: str, channel: str, *, sent: bool) -> None:
        """Say how sending went: sent it stays sent, otherwise it may be tried again."""
        sending, done = self._marks(key, channel)
        try:
            if sent:
                sending.replace(done)
            else:
                sending.unlink(missing_ok=True)
        except OSError:
            log.exception("%s cannot be written; an alert may go out twice", sending.parent)

    def was_sent(self, key: str, channel: str) -> bool:
        """Whether an alert went out on a channel."""
        return self._marks(key, channel)[1].exists()

    def _marks(self, key: str, channel: str) -> tuple[Path, Path]:
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        folder = self.folder / "sent"
        return folder / f"{name}.{channel}.sending", folder / f"{name}.{channel}"

    def _read(self) -> Iterator[Event]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, start=1):
            try:
                yield Event.model_validate_json(line)
            except ValidationError:
                log.warning("%s, line %d is damaged and was left out", self._path, number)
