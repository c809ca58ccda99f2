"""Steps 6 to 8 of a publish: everything that happens in the temporary folder, before the release gets its name."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ml.files import fsync_file, fsync_folder, sha256_of
from ml.release import tables
from ml.release.durable import copy_hashed, forbid_writing, write_new
from ml.release.manifest import (
    DATABASE,
    MANIFEST,
    SCORES,
    Candidate,
    ChangedCandidateError,
    FileEntry,
    Manifest,
    Release,
    ReleaseError,
    RunToken,
)
from ml.release.room import Room
from ml.release.steps import Step, step
from ml.release.verify import stat_of


def build_and_compare(
    room: Room, candidate: Candidate, folder: Path, backup: Release | None, new_id: str
) -> tuple[int, int]:
    """Build the release's files and return the rows of scores and of backup.

    Works on copies whose hashes are those of the audited files: whatever happens to the originals meanwhile (the ETL
    may run again) cannot get into the release.
    """
    scores, claims = folder / SCORES, folder / "claims.parquet"
    previous_scores = None if backup is None else backup.scores
    info = {
        "release_id": new_id,
        "data_date": candidate.data_date.isoformat(),
        "scored_at": candidate.scored_at.astimezone(UTC).isoformat(),
        "model_version": candidate.model_version,
        "ruleset_version": candidate.ruleset_version,
        "previous": "" if backup is None else backup.id,
    }
    with ExitStack() as opened:
        with step(Step.BUILD):
            _copy_unchanged(candidate, scores, claims)
            connection = opened.enter_context(
                tables.build(
                    folder / DATABASE,
                    scores=scores,
                    claims=claims,
                    previous_scores=previous_scores,
                    info=info,
                    memory_limit=room.memory_limit,
                    threads=room.threads,
                )
            )
        with step(Step.COMPARE):
            problems = _candidate_problems(connection, candidate)
            problems = problems or tables.compare_problems(connection, scores=scores, previous_scores=previous_scores)
            problems = problems or tables.provider_problems(connection)
            if problems:
                raise ReleaseError("the candidate is refused: " + "; ".join(problems))
            rows = tables.count(connection, "claims_ml_scores"), tables.count(connection, "claims_ml_scores_backup")
    claims.unlink()
    shutil.rmtree(folder / "spill", ignore_errors=True)
    return rows


def _copy_unchanged(candidate: Candidate, scores: Path, claims: Path) -> None:
    if copy_hashed(candidate.scores, scores) != candidate.scores_sha256:
        raise ChangedCandidateError(f"{candidate.scores} was changed while it was being published: score again")
    candidate.require_claims(copy_hashed(candidate.claims, claims))


def _candidate_problems(connection: duckdb.DuckDBPyConnection, candidate: Candidate) -> list[str]:
    return tables.origin_problems(
        connection,
        data_date=candidate.data_date,
        model_version=candidate.model_version,
        ruleset_version=candidate.ruleset_version,
    )


def seal(
    candidate: Candidate,
    token: RunToken,
    now: datetime,
    folder: Path,
    backup: Release | None,
    new_id: str,
    rows: tuple[int, int],
) -> None:
    """Write the manifest and bring everything to disk."""
    files = {}
    for name in (DATABASE, SCORES):
        path = folder / name
        forbid_writing(path)
        fsync_file(path)
        files[name] = FileEntry(size=path.stat().st_size, sha256=sha256_of(path), stat=stat_of(path))
    manifest = Manifest(
        release_id=new_id,
        run_id=token.run_id,
        try_number=token.try_number,
        data_date=candidate.data_date,
        created_at=now,
        scored_at=candidate.scored_at.astimezone(UTC),
        previous=None if backup is None else backup.id,
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
