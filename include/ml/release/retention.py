"""Deletes what nobody needs: the leftovers of crashed processes, and old releases. Runs under the room's lock."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from ml import clock
from ml.files import fsync_folder
from ml.release.journal import Event, Record
from ml.release.manifest import Release, ReleaseError
from ml.release.room import RUNNING, WAITING, Room
from ml.release.steps import Step, step

logger = logging.getLogger(__name__)

BUILDING = ".building-"
TRASH = ".trash-"
ANCESTORS_KEPT = 3
NOTES_KEPT = timedelta(days=1)


def sweep(room: Room) -> None:
    """Delete what crashed processes left: half-built releases, half-deleted ones, links never put in place.

    The lock is held, so nobody is still working on them. What cannot be deleted is logged and left for the next time.
    """
    leftovers = [path for prefix in (BUILDING, TRASH) for path in room.releases.glob(f"{prefix}*")]
    leftovers += room.instance.glob(f".{room.current.name}.*")
    leftovers += [
        note for kind in (WAITING, RUNNING) for note in room.releases.glob(f"{kind}*") if _age(note) > NOTES_KEPT
    ]
    for path in leftovers:
        logger.info("sweeping %s, left by a process that died", path)
        try:
            if path.name.startswith(TRASH):  # its collector may have died before it noted it
                room.journal.append(Record(event=Event.COLLECTED, release_id=path.name.removeprefix(TRASH)))
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except (OSError, ReleaseError) as error:
            logger.warning("%s could not be swept: %s", path, error)


def collect(room: Room, now: datetime) -> list[str]:
    """Delete old releases and return their ids; a failure is logged, because the publish itself has succeeded."""
    collected: list[str] = []
    try:
        superfluous = _superfluous(room, now)
    except (OSError, ReleaseError) as error:
        logger.warning("old releases could not be looked at: %s", error)
        return collected
    for release in superfluous:
        trash = release.path.with_name(f"{TRASH}{release.id}")
        try:
            with step(Step.COLLECT_RENAME):
                release.path.rename(trash)  # in one step, so that nobody ever sees half a release under its id
                fsync_folder(room.releases)
            with step(Step.COLLECT_NOTE):
                room.journal.append(Record(event=Event.COLLECTED, release_id=release.id))
            with step(Step.COLLECT_DELETE):
                shutil.rmtree(trash)
        except (OSError, ReleaseError) as error:
            logger.warning("release %s could not be collected: %s", release.id, error)
        else:
            collected.append(release.id)
    return collected


def _age(path: Path) -> timedelta:
    try:
        return clock.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:  # its publisher has just left
        return timedelta(0)


def _superfluous(room: Room, now: datetime) -> list[Release]:
    """All but the live release, its three nearest existing ancestors, the newest `keep`, and the young ones."""
    releases = room.all()
    kept = {release.id for release in releases[-room.keep :]}
    kept |= {release.id for release in releases if now - release.manifest.created_at < room.keep_age}
    live = room.live_id()
    if live is not None:
        existing = {release.id for release in releases}
        line = (older for older in room.ancestors(room.journal.read(), live) if older in existing)
        kept |= {live, *islice(line, ANCESTORS_KEPT)}
    return [release for release in releases if release.id not in kept]
