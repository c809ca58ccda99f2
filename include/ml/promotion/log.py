"""`instance/models/log.jsonl`: what happened to which model, one JSON line an event, appended and forced to disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ml import clock
from ml.files import fsync_folder, make_folders

logger = logging.getLogger(__name__)


class Event(StrEnum):
    """What a line says happened to `version`."""

    TRAINED = "trained"
    GATE_PASSED = "gate passed"  # against `previous`, the default at that time; under `conditions`
    GATE_REFUSED = "gate refused"
    PROMOTED = "promoted"  # is the default instead of `previous`; written before the switch
    DEMOTED = "demoted"  # the default goes back to `version`; `previous` is the one that is demoted
    FOUND = "found"  # default.json names it, though no line before made it the default


CHANGES = (Event.PROMOTED, Event.DEMOTED, Event.FOUND)
"""After these `version` is the default."""


class Entry(BaseModel):
    """One line of the log. `at` is UTC; `who` is a user of the machine or the id of a DAG run."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime = Field(default_factory=clock.now)
    event: Event
    version: str
    previous: str | None = None
    who: str
    reason: str | None = None
    forced: bool | None = None
    trained_on: str | None = None
    conditions: str | None = None
    figures: dict[str, Any] | None = None


class ModelLog:
    """The log. Readers need no lock; whoever appends holds the registry's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Entry]:
        """Return all entries, oldest first.

        A last line without its newline was never acknowledged and does not count; a damaged line further up is left
        out with a warning.
        """
        try:
            *lines, _unfinished = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        entries = []
        for number, line in enumerate(lines, start=1):
            try:
                entries.append(Entry.model_validate_json(line))
            except ValidationError:
                logger.warning("%s, line %d is damaged and was left out", self.path, number)
        return entries

    def append(self, entry: Entry) -> None:
        """Append an entry; it is on disk when this returns.

        Raises:
            OSError: it cannot be written (disk full, permissions); nothing was recorded.
        """
        line = (entry.model_dump_json(exclude_none=True) + "\n").encode()
        make_folders(self.path.parent)
        is_new = not self.path.exists()
        with self.path.open("r+b" if not is_new else "x+b", buffering=0) as stream:
            end = stream.read().rfind(b"\n") + 1  # a line that a crash has torn is overwritten
            try:
                stream.truncate(end)
                stream.seek(end)
                if stream.write(line) != len(line):
                    raise OSError(f"{self.path}: short write, the disk may be full")
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(end)  # what the caller is told has failed must not count later
                raise
        if is_new:
            fsync_folder(self.path.parent)


def defaults_so_far(entries: Iterable[Entry]) -> list[str]:
    """Return the defaults one could go back through, the present one last.

    A promotion adds one, a demotion takes one away, so that two demotions go back two promotions.
    """
    path: list[str] = []
    for entry in entries:
        if entry.event in (Event.DEMOTED, Event.FOUND) and entry.version in path:
            last = len(path) - path[::-1].index(entry.version)
            path = path[:last]
        elif entry.event in CHANGES and path[-1:] != [entry.version]:
            path.append(entry.version)
    return path


def was_demoted(entries: Iterable[Entry], version: str) -> bool:
    """Whether the last that happened to a model is that it stopped being the default by a demotion."""
    last = [entry for entry in entries if entry.event in CHANGES and version in (entry.version, entry.previous)][-1:]
    return any(entry.event is Event.DEMOTED and entry.previous == version for entry in last)
