"""Finds what is wrong with a release: cheaply (its files' hashes) or thoroughly (its tables too)."""

from __future__ import annotations

from pathlib import Path

import duckdb

from ml.files import sha256_of
from ml.release import tables
from ml.release.journal import History
from ml.release.manifest import DATABASE, MANIFEST, SCORES, Release, ReleaseError
from ml.release.room import Room


def stat_of(path: Path) -> str:
    """Return what changes with every write to a file, whoever writes: inode, size, times of content and of status.

    The last of them (ctime) cannot be set back by a user.
    """
    stat = path.stat()
    return f"{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def damage(room: Room, history: History, release_id: str, *, quick: bool = False) -> list[str]:
    """Say which files of a release are not what was published; empty when all hashes agree.

    With `quick`, a file that was not written to since it was sealed is not hashed again (docs/adr/0006).

    Raises:
        PermissionError: this process may not read them, which says nothing about the release.
    """
    try:
        release = room.get(release_id)
        return _manifest_problems(release, history) + _file_problems(release, quick=quick)
    except ReleaseError as error:
        return [str(error)]


def problems(room: Room, history: History, release_id: str) -> list[str]:
    """Say everything that is wrong with a release: files, hashes, counts, table against Parquet, personal keys."""
    found = damage(room, history, release_id)
    if found:
        return found
    release = room.get(release_id)
    strangers = {path.name for path in release.path.iterdir()} - {DATABASE, SCORES, MANIFEST}
    found = [f"{release_id}: {name} does not belong here" for name in sorted(strangers)]
    previous = release.manifest.previous
    previous_scores = None
    if previous is not None and not damage(room, history, previous):
        previous_scores = room.get(previous).scores
    try:
        with tables.opened(release.database, memory_limit=room.memory_limit, threads=room.threads) as connection:
            found += _table_problems(connection, release)
            found += tables.compare_problems(connection, scores=release.scores, previous_scores=previous_scores)
    except duckdb.Error as error:
        found.append(f"{release_id}: the tables cannot be read: {error}")
    return found


def why_unfit_to_return(room: Room, history: History, release_id: str, *, quick: bool = False) -> str | None:
    """Say why a release may not be put back; None when it is whole, was not given up and did not fail its QC."""
    if history.given_up(release_id):
        return f"{release_id}: was given up"
    if history.qc_passed(release_id) is False:
        return f"{release_id}: failed its QC"
    return "; ".join(damage(room, history, release_id, quick=quick)) or None


def best_alternative(
    room: Room, history: History, instead_of: str | None, *, not_to: str | None = None, anywhere: bool = True
) -> str | None:
    """Return the release to go back to: the nearest good ancestor, or else (`anywhere`) the newest good release."""
    candidates = [] if instead_of is None else list(room.ancestors(history, instead_of))
    if anywhere:
        candidates += [release.id for release in reversed(room.all()) if release.id not in candidates]
    for release_id in candidates:
        if release_id not in (instead_of, not_to) and why_unfit_to_return(room, history, release_id) is None:
            return release_id
    return None


def _manifest_problems(release: Release, history: History) -> list[str]:
    for record in history.publications(release.id):
        if record.manifest_sha256 not in (None, sha256_of(release.path / MANIFEST)):
            return [f"{release.id}: {MANIFEST} is not the one that was published (its SHA-256 differs)"]
    return []


def _file_problems(release: Release, *, quick: bool) -> list[str]:
    found = []
    for name, entry in release.manifest.files.items():
        path = release.path / name
        try:
            size = path.stat().st_size
            if size != entry.size:
                found.append(f"{release.id}: {name} has {size} bytes, {entry.size} were published")
            elif not (quick and entry.stat == stat_of(path)) and sha256_of(path) != entry.sha256:
                found.append(f"{release.id}: {name} is not what was published (its SHA-256 differs)")
        except PermissionError:
            raise
        except OSError as error:
            found.append(f"{release.id}: {name} cannot be read: {error}")
    if (release.path / f"{DATABASE}.wal").exists():
        found.append(f"{release.id}: {DATABASE}.wal exists, somebody opened the file for writing")
    return found


def _table_problems(connection: duckdb.DuckDBPyConnection, release: Release) -> list[str]:
    manifest = release.manifest
    found = tables.origin_problems(
        connection,
        data_date=manifest.data_date,
        model_version=manifest.model_version,
        ruleset_version=manifest.ruleset_version,
        of_earlier_version=True,
    )
    wanted = {
        "claims_ml_scores": manifest.rows,
        "claims_high_risk": manifest.rows,
        "claims_ml_scores_backup": manifest.backup_rows,
    }
    for table, rows in wanted.items():
        present = tables.count(connection, table)
        if present != rows:
            found.append(f"{release.id}: {table} has {present} rows, the manifest says {rows}")
        served = {name.lower() for name in tables.columns(connection, table)}
        if personal := served & tables.PERSONAL_COLUMNS:
            found.append(f"{release.id}: {table} serves personal keys: {', '.join(sorted(personal))}")
    info = dict(connection.table("release_info").fetchall())
    if info.get("release_id") != release.id:
        found.append(f"{release.id}: release_info says it is {info.get('release_id')}")
    return found
