"""Publish: thirteen steps from a candidate to a live release. docs/publishing.md has them with what a crash leaves."""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime

from ml.files import fsync_folder, sha256_of
from ml.release.build import build_and_compare, seal
from ml.release.journal import Event, History, Record
from ml.release.manifest import (
    MANIFEST,
    Candidate,
    Published,
    Release,
    ReleaseError,
    RunToken,
    data_date_of_id,
    new_release_id,
    read_release,
)
from ml.release.retention import BUILDING, collect, sweep
from ml.release.room import Room
from ml.release.steps import Step, step
from ml.release.verify import best_alternative, damage

logger = logging.getLogger(__name__)

SPACE_FACTOR = 8
"""Free space wanted, in sizes of the candidate's two files. Measured on 1.18M claims: a build peaks at 3.3 to 4.5 (both
copies and the DuckDB file); the rest is for another data mix and for what DuckDB spills while it sorts."""


def publish(room: Room, candidate: Candidate, token: RunToken, now: datetime) -> Published:
    """Make a candidate the live release (see `ReleaseStore.publish`)."""
    try:
        return _publish(room, candidate, token, now)
    except OSError as error:  # from the switch on, no other error than ours leaves a step
        raise ReleaseError(f"the release could not be written, readers see no change: {error}") from error


def _publish(room: Room, candidate: Candidate, token: RunToken, now: datetime) -> Published:
    with ExitStack() as held:
        with step(Step.LOCK):
            held.enter_context(room.at_the_door(token))
            held.enter_context(room.locked())

        with step(Step.FENCE):
            history = room.journal.read()
            _refuse_dead(history, token)

        with step(Step.SWEEP):
            sweep(room)

        with step(Step.RECOGNISE):
            _require_audited(candidate)
            done = _recognise(room, history, candidate, token, now)
        if done is not None:
            return done

        with step(Step.SPACE):
            before = _look_before(room, history)
            room.make_static_links()
            _ensure_space(room, candidate)
            room.journal.make_reserve()

        new_id = _unused_id(room, history, new_release_id(candidate.data_date, now, token))
        temporary = room.releases / f"{BUILDING}{new_id}"
        temporary.mkdir()
        try:
            rows = build_and_compare(room, candidate, temporary, before.backup, new_id)
            with step(Step.SEAL):
                seal(candidate, token, now, temporary, before.backup, new_id, rows)
            with step(Step.RENAME):
                temporary.rename(room.releases / new_id)
                fsync_folder(room.releases)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # no longer there when all went well

        published = _go_live(room, read_release(room.releases, new_id), before, now)
        with step(Step.COLLECT):
            collect(room, now)
        return published


def _refuse_dead(history: History, token: RunToken) -> None:
    fence = history.fence(token)
    if fence is not None:
        raise ReleaseError(
            f"run {token.run_id}, try {token.try_number} was declared dead at {fence.at:%Y-%m-%d %H:%M:%S} UTC "
            f"({fence.reason}): a process that outlived its run may not publish. Start a new run, or clear this one "
            "so that it gets a new try"
        )
    newest = history.last_try(token.run_id)
    if newest > token.try_number:
        raise ReleaseError(f"run {token.run_id}: try {newest} has published, try {token.try_number} comes too late")


def _require_audited(candidate: Candidate) -> None:
    for path in (candidate.scores, candidate.claims):
        if not path.is_file():
            raise ReleaseError(f"the candidate's file {path} does not exist: score again before publishing")
    found = sha256_of(candidate.scores)
    if found != candidate.scores_sha256:
        raise ReleaseError(
            f"{candidate.scores} has SHA-256 {found}, but {candidate.scores_sha256} was audited: only what was audited "
            "may become live. Audit it again, or score again"
        )


def _recognise(room: Room, history: History, candidate: Candidate, token: RunToken, now: datetime) -> Published | None:
    """Return what this very run has already made of this very candidate, if it died before anybody heard of it."""
    live_id = room.live_id()
    for release in reversed(room.all()):
        ours = release.manifest.run_id == token.run_id and release.manifest.is_of(candidate)
        if not ours or history.given_up(release.id):
            continue
        record = next(history.publications(release.id), None)
        switched = release.id == live_id
        event = Event.SWITCHED if switched else Event.ARCHIVED
        known = record is not None and record.event is event
        if switched or known:
            logger.info("release %s was already published by this run", release.id)
            if record is None or not known or record.try_number != token.try_number:
                room.journal.append(_record(event, release, now, token.try_number))
            return _published(release, switched=switched)
    return None


@dataclass(frozen=True)
class _Before:
    """What is live before a publish: its data date, and the release whose scores become the backup."""

    data_date: date | None
    backup: Release | None


def _look_before(room: Room, history: History) -> _Before:
    """The backup is the live release, or its nearest good ancestor when the live one is damaged."""
    live_id = room.live_id()
    if live_id is None:
        return _Before(None, None)
    found = damage(room, history, live_id)
    if not found:
        live = room.get(live_id)
        return _Before(live.manifest.data_date, live)
    backup = best_alternative(room, history, live_id, anywhere=False)
    logger.error(
        "the live release is damaged, so it cannot be kept as the backup: %s. The backup is made from %s",
        "; ".join(found),
        backup or "nothing: no release before it is good",
    )
    return _Before(data_date_of_id(live_id), None if backup is None else room.get(backup))


def _ensure_space(room: Room, candidate: Candidate) -> None:
    size = candidate.scores.stat().st_size + candidate.claims.stat().st_size
    needed, free = SPACE_FACTOR * size, shutil.disk_usage(room.releases).free
    if free < needed:
        raise ReleaseError(
            f"not enough disk space under {room.releases}: {needed / 1e6:,.0f} MB needed "
            f"({SPACE_FACTOR} times the candidate's {size / 1e6:,.0f} MB), {free / 1e6:,.0f} MB free. "
            "Make room, then publish again; nothing was changed"
        )


def _unused_id(room: Room, history: History, wanted: str) -> str:
    number, new_id = 1, wanted
    while (room.releases / new_id).exists() or any(history.publications(new_id)):
        number += 1
        new_id = f"{wanted}-{number}"
    return new_id


def _go_live(room: Room, release: Release, before: _Before, now: datetime) -> Published:
    """Switch `current`, unless the live release's data date is newer: old never overwrites new."""
    switched = before.data_date is None or release.manifest.data_date >= before.data_date
    with step(Step.INTENT):
        room.journal.append(_record(Event.INTENT if switched else Event.ARCHIVED, release, now))
    if switched:
        with step(Step.SWITCH):
            room.switch(release.id)
        with step(Step.ACKNOWLEDGE):
            room.journal.append(_record(Event.SWITCHED, release, now))
    return _published(release, switched=switched)


def _record(event: Event, release: Release, at: datetime, try_number: int | None = None) -> Record:
    manifest = release.manifest
    return Record(
        at=at,
        event=event,
        release_id=release.id,
        previous=manifest.previous,
        run_id=manifest.run_id,
        try_number=try_number or manifest.try_number,
        manifest_sha256=sha256_of(release.path / MANIFEST),
    )


def _published(release: Release, *, switched: bool) -> Published:
    manifest = release.manifest
    return Published(
        release_id=release.id,
        path=release.path,
        switched=switched,
        previous=manifest.previous,
        rows=manifest.rows,
        data_date=manifest.data_date,
    )
