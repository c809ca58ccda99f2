"""The alert book: what became of the runs, and which alert went out on which channel, in `instance/alerts/`.

Task processes, the DAG processor and the watchdog all write here, at any time and without a lock: events are whole
lines appended to `events.jsonl`, and the right to send an alert is an empty file that only one process can create (in
the temporary folder, when the book's own cannot be written). An alert lies in the outbox for an hour, for channels
that did not take it at once. Nothing here raises: a full disk must not keep an alert back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ml import clock

log = logging.getLogger(__name__)

SENDING_SECONDS = 120
"""How long a sender may take before somebody else may send in its place: a killed one never says that it failed."""
MAX_TRIES = 3
"""How often an alert is tried on a channel: a slow server that takes it and answers too late would get it for ever."""
SEND_AGAIN_FOR = timedelta(hours=1)


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
    key: str | None = None


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
        """Append an event; return whether that worked."""
        line = (event.model_dump_json(exclude_none=True) + "\n").encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":  # what a full disk has torn
                    line = b"\n" + line
                written = os.write(descriptor, line)  # one call, so that lines of two processes do not mix
            finally:
                os.close(descriptor)
        except OSError:
            log.exception("%s cannot be written", self._path)
            return False
        return written == len(line)

    def events(self) -> list[Event]:
        """Return all events, oldest first; damaged lines are left out, and all when the file cannot be read."""
        try:
            return list(self._read())
        except OSError:
            log.exception("%s cannot be read; nights are not counted", self._path)
            return []

    def claim(self, key: str, channel: str) -> bool:
        """Take the right to send an alert on a channel.

        False when it was sent, somebody is sending it, or it was tried often enough. Who does not call `settle` within
        `SENDING_SECONDS` loses the right.
        """
        for folder in self._mark_folders():
            try:
                return self._claim_in(folder, _mark(key, channel))
            except OSError:
                log.exception("%s cannot be written", folder)
        return True  # two alerts are better than none

    def settle(self, key: str, channel: str, *, sent: bool) -> None:
        """Say how sending went: sent it stays sent, otherwise it may be tried again."""
        name = _mark(key, channel)
        for folder in self._mark_folders():
            sending = folder / f"{name}.sending"
            try:
                sending.replace(folder / name if sent else _next_try(folder, name))
            except OSError:
                continue

    def keep(self, key: str, letter: dict[str, Any]) -> None:
        """Put an alert into the outbox, so that it can be sent again as it is."""
        outbox = self.folder / "outbox"
        path = outbox / f"{_hash(key)}.json"
        try:
            outbox.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                temporary = path.with_suffix(f".{os.getpid()}")
                temporary.write_text(json.dumps({"key": key, **letter}), encoding="utf-8")
                temporary.replace(path)
        except OSError:
            log.exception("%s cannot be written; the alert is not sent again", path)

    def kept(self) -> list[dict[str, Any]]:
        """Return the alerts of the outbox and drop those that are too old to be sent again."""
        found: list[dict[str, Any]] = []
        for path in sorted((self.folder / "outbox").glob("*.json")):
            try:
                if time.time() - path.stat().st_mtime > SEND_AGAIN_FOR.total_seconds():
                    path.unlink(missing_ok=True)
                else:
                    found.append(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError):
                log.exception("%s cannot be read", path)
        return found

    def _mark_folders(self) -> list[Path]:
        return [self.folder / "sent", Path(tempfile.gettempdir()) / f"claims-alerts-{_hash(str(self.folder))}"]

    def _claim_in(self, folder: Path, name: str) -> bool:
        sending, sent = folder / f"{name}.sending", folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if sent.exists() or len(list(folder.glob(f"{name}.tried-*"))) >= MAX_TRIES:
            return False
        try:
            if time.time() - sending.stat().st_mtime > SENDING_SECONDS:
                sending.replace(_next_try(folder, name))
        except FileNotFoundError:
            pass
        try:
            sending.touch(exist_ok=False)
        except FileExistsError:
            return False
        if sent.exists():  # its sender has finished between the two looks
            sending.unlink(missing_ok=True)
            return False
        return True

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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _mark(key: str, channel: str) -> str:
    return f"{_hash(key)}.{channel}"


def _next_try(folder: Path, name: str) -> Path:
    return folder / f"{name}.tried-{len(list(folder.glob(f'{name}.tried-*'))) + 1}"
