"""Publish: thirteen steps from a candidate to a live release. docs/publishing.md has them with what a crash leaves."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ml.files import fsync_file, fsync_folder, sha256_of
from ml.release import tables
from ml.release.durable import copy_hashed, forbid_writing, write_new
from ml.release.journal import Event, History, Record
from ml.release.manifest import (
    DATABASE,
    MANIFEST,
    SCORES,
    Candidate,
    FileEntry,
    Manifest,
    Published,
    Release,
    ReleaseError,
    RunToken,
    new_release_id,
    read_release,
)
from ml.release.retention import BUILDING, collect, sweep
from ml.release.room import Room
from ml.release.steps import Step, reached
from ml.release.verify import damage

logger = logging.getLogger(__name__)

SPACE_FACTOR = 8
"""Free space wanted, in sizes of the candidate's two files. Measured on 1.18M claims: a build peaks at 3.3 to 4.5 (both
copies and the DuckDB file); the rest is for another data mix and for what DuckDB spills while it sorts."""


def publish(room: Room, candidate: Candidate, token: RunToken, now: datetime) -> Published:
    """Make a candidate the live release (see `ReleaseStore.publish`)."""
    with room.at_the_door(token), room.locked():
        reached(Step.LOCK)

        history = room.journal.read()
        _refuse_dead(history, token)
        reached(Step.FENCE)

        scores_sha256 = _hash_scores(candidate)
        done = _recognise(room, history, candidate, scores_sha256, token, now)
        reached(Step.RECOGNISE)
        if done is not None:
            return done

        sweep(room)
        reached(Step.SWEEP)

        live = _live_before(room, history)
        room.make_static_links()
        _ensure_space(room, candidate)
        reached(Step.SPACE)

        new_id = _unused_id(room, history, new_release_id(candidate.data_date, now, token))
        temporary = room.releases / f"{BUILDING}{new_id}"
        temporary.mkdir()
        try:
            rows = _build_and_compare(room, candidate, temporary, live, new_id, scores_sha256)
            _seal(candidate, token, now, temporary, live, new_id, rows)
            reached(Step.SEAL)

            temporary.rename(room.releases / new_id)
            fsync_folder(room.releases)
            reached(Step.RENAME)
        except OSError as error:
            raise ReleaseError(f"the release could not be written, readers see no change: {error}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # no longer there when all went well

        published = _go_live(room, read_release(room.releases, new_id), live, now)
        collect(room, now)
        reached(Step.COLLECT)
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


def _hash_scores(candidate: Candidate) -> str:
    for path in (candidate.scores, candidate.claims):
        if not path.is_file():
            raise ReleaseError(f"the candidate's file {path} does not exist: score again before publishing")
    return sha256_of(candidate.scores)


def _recognise(
    room: Room, history: History, candidate: Candidate, scores_sha256: str, token: RunToken, now: datetime
) -> Published | None:
    """Return what this very run has already made of this very candidate, if it died before anybody heard of it."""
    live_id = room.live_id()
    for release in reversed(room.all()):
        ours = release.manifest.run_id == token.run_id and release.manifest.is_of(candidate, scores_sha256)
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


def _live_before(room: Room, history: History) -> Release | None:
    live_id = room.live_id()
    if live_id is None:
        return None
    found = damage(room, history, live_id)
    if found:
        raise ReleaseError(
            f"the live release is damaged, so it cannot be kept as the backup: {'; '.join(found)}. "
            "Run recover (it puts the last good release back), then publish again"
        )
    return room.get(live_id)


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


def _build_and_compare(
    room: Room, candidate: Candidate, folder: Path, live: Release | None, new_id: str, scores_sha256: str
) -> tuple[int, int]:
    """Build the release's files and return the rows of scores and of backup.

    Works on copies whose hashes are those of the audited files: whatever happens to the originals meanwhile (the ETL
    may run again) cannot get into the release.
    """
    scores, claims = folder / SCORES, folder / "claims.parquet"
    if copy_hashed(candidate.scores, scores) != scores_sha256:
        raise ReleaseError(f"{candidate.scores} was changed while it was being published: score again")
    claims_sha256 = copy_hashed(candidate.claims, claims)
    if claims_sha256 != candidate.input_sha256:
        raise ReleaseError(
            f"{candidate.claims} has SHA-256 {claims_sha256}, but the candidate was scored from a file with "
            f"{candidate.input_sha256}: the ETL has rewritten it since, score again"
        )
    previous_scores = None if live is None else live.scores
    info = {
        "release_id": new_id,
        "data_date": candidate.data_date.isoformat(),
        "scored_at": candidate.scored_at.astimezone(UTC).isoformat(),
        "model_version": candidate.model_version,
        "ruleset_version": candidate.ruleset_version,
        "previous": "" if live is None else live.id,
    }
    with tables.build(
        folder / DATABASE,
        scores=scores,
        claims=claims,
        previous_scores=previous_scores,
        info=info,
        memory_limit=room.memory_limit,
        threads=room.threads,
    ) as connection:
        reached(Step.BUILD)
        problems = _candidate_problems(connection, candidate)
        problems = problems or tables.compare_problems(connection, scores=scores, previous_scores=previous_scores)
        if problems:
            raise ReleaseError("the candidate is refused: " + "; ".join(problems))
        rows = tables.count(connection, "claims_ml_scores"), tables.count(connection, "claims_ml_scores_backup")
    claims.unlink()
    shutil.rmtree(folder / "spill", ignore_errors=True)
    reached(Step.COMPARE)
    return rows


def _candidate_problems(connection: duckdb.DuckDBPyConnection, candidate: Candidate) -> list[str]:
    return tables.origin_problems(
        connection,
        data_date=candidate.data_date,
        model_version=candidate.model_version,
        ruleset_version=candidate.ruleset_version,
    )


def _seal(
    candidate: Candidate,
    token: RunToken,
    now: datetime,
    folder: Path,
    live: Release | None,
    new_id: str,
    rows: tuple[int, int],
) -> None:
    """Write the manifest and bring everything to disk."""
    files = {}
    for name in (DATABASE, SCORES):
        path = folder / name
        forbid_writing(path)
        fsync_file(path)
        files[name] = FileEntry(size=path.stat().st_size, sha256=sha256_of(path))
    manifest = Manifest(
        release_id=new_id,
        run_id=token.run_id,
        try_number=token.try_number,
        data_date=candidate.data_date,
        created_at=now,
        scored_at=candidate.scored_at.astimezone(UTC),
        previous=None if live is None else live.id,
        rows=rows[0],
        backup_rows=rows[1],
        model_version=candidate.model_version,
        model_sha256=candidate.model_sha256,
        ruleset_version=candidate.ruleset_version,
        ruleset_sha256=candidate.ruleset_sha256,
        input_sha256=candidate.input_sha256,
        duckdb_version=duckdb.__version__,
        files=files,
    )
    write_new(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    forbid_writing(folder / MANIFEST)
    fsync_folder(folder)


def _go_live(room: Room, release: Release, live: Release | None, now: datetime) -> Published:
    """Switch `current`, unless the live release's data date is newer: old never overwrites new."""
    switched = live is None or release.manifest.data_date >= live.manifest.data_date
    if not switched:
        room.journal.append(_record(Event.ARCHIVED, release, now))
        return _published(release, switched=False)
    room.journal.append(_record(Event.INTENT, release, now))
    reached(Step.INTENT)
    room.switch(release.id)
    reached(Step.SWITCH)
    room.journal.append(_record(Event.SWITCHED, release, now))
    reached(Step.ACKNOWLEDGE)
    return _published(release, switched=True)


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
