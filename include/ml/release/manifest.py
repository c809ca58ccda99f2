"""What goes into the release room and what comes out of it: typed, frozen, moments in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ml.clock import stamp

DATABASE = "analytics.duckdb"
SCORES = "claims_ml_scores.parquet"
MANIFEST = "manifest.json"

_SLUG_LENGTH = 48  # a file name holds 255 bytes, a run id of Airflow up to 250


class ReleaseError(RuntimeError):
    """The release room refuses or cannot go on; the message says why and what to do. Readers are not affected."""


class ChangedCandidateError(ReleaseError):
    """The candidate's files are no longer those that were scored: only scoring anew helps."""


@dataclass(frozen=True)
class RunToken:
    """Who publishes: a run, and which try of it (1, 2, ...). A higher try of the same run is the newer one."""

    run_id: str
    try_number: int

    def __post_init__(self) -> None:
        if not self.run_id or self.try_number < 1:
            raise ReleaseError(f"{self!r}: a run needs an id, and tries count from 1")


@dataclass(frozen=True)
class Candidate:
    """An audited set of scores with the claims it was computed from (columns: 30_scores.sql, 20_high_risk.sql).

    `scores_sha256` is the SHA-256 of the scores as they were audited, `input_sha256` that of the claims file as it was
    when it was scored: nothing else is published.
    """

    scores: Path
    scores_sha256: str
    claims: Path
    data_date: date
    scored_at: datetime
    model_version: str
    model_sha256: str
    ruleset_version: str
    ruleset_sha256: str
    input_sha256: str

    def require_claims(self, sha256: str) -> None:
        """Refuse a claims file with another SHA-256 than that of the one that was scored.

        Raises:
            ChangedCandidateError: it has another.
        """
        if sha256 != self.input_sha256:
            raise ChangedCandidateError(
                f"{self.claims} has SHA-256 {sha256}, but the candidate was scored from a file with "
                f"{self.input_sha256}: the ETL has rewritten it since, score again"
            )


class FileEntry(BaseModel):
    """Size in bytes and SHA-256 (hex) of a file of a release.

    `stat` is what the file system said of it when it was hashed (`verify.stat_of`): while that has not changed, the
    file has not been written to. None in releases made before it was noted.
    """

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str
    stat: str | None = None


class Manifest(BaseModel):
    """What a release is made of. Written once; what happens to a release later stands in the journal."""

    model_config = ConfigDict(frozen=True)

    release_id: str
    run_id: str
    try_number: int
    data_date: date
    created_at: AwareDatetime
    scored_at: AwareDatetime
    previous: str | None
    rows: int
    backup_rows: int
    model_version: str
    model_sha256: str
    ruleset_version: str
    ruleset_sha256: str
    input_sha256: str
    duckdb_version: str
    files: dict[str, FileEntry]

    def is_of(self, candidate: Candidate) -> bool:
        """Tell whether this release was made from exactly that candidate."""
        return (
            self.files[SCORES].sha256 == candidate.scores_sha256
            and self.input_sha256 == candidate.input_sha256
            and self.model_sha256 == candidate.model_sha256
            and self.ruleset_sha256 == candidate.ruleset_sha256
            and self.data_date == candidate.data_date
        )


@dataclass(frozen=True)
class Release:
    """A complete release. Open its files by `database` and `scores`, never through `current` twice."""

    id: str
    path: Path
    manifest: Manifest

    @property
    def database(self) -> Path:
        """The DuckDB file; open it read-only."""
        return self.path / DATABASE

    @property
    def scores(self) -> Path:
        """The Parquet file of the scores."""
        return self.path / SCORES


@dataclass(frozen=True)
class Published:
    """A finished publish. `switched` is False when the release was only archived, its data date being old."""

    release_id: str
    path: Path
    switched: bool
    previous: str | None
    rows: int
    data_date: date


@dataclass(frozen=True)
class Restored:
    """What a restore, recover or rollback did: `was` is the release live before, `live` the one live after.

    `damage` says what is wrong with the live release when it was left live although it is damaged.
    """

    restored: bool
    live: str | None
    was: str | None
    message: str
    damage: tuple[str, ...] = ()


def new_release_id(data_date: date, moment: datetime, token: RunToken) -> str:
    """Return the id `<data date>-<UTC stamp>-<slug of the run id>-t<try>`: sorts by data date, then by time."""
    slug = re.sub(r"[^a-z0-9]+", "-", token.run_id.lower())[:_SLUG_LENGTH].strip("-") or "run"
    return f"{data_date:%Y%m%d}-{stamp(moment)}-{slug}-t{token.try_number:02d}"


def data_date_of_id(release_id: str) -> date | None:
    """Return the data date a release's id begins with; None when it is no id of ours."""
    try:
        return datetime.strptime(release_id[:8], "%Y%m%d").date()  # noqa: DTZ007 - a date, in no timezone
    except ValueError:
        return None


def created_at_of_id(release_id: str) -> datetime:
    """Return the end of the second that a release's id names; long ago when it is no id of ours."""
    try:
        made = datetime.strptime(release_id[9:25], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return made.replace(microsecond=999_999)


def read_release(releases: Path, release_id: str) -> Release:
    """Read a release in the folder of all releases, trusting its files.

    Raises:
        ReleaseError: there is no complete release of that id; the message says what is missing or wrong.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", release_id):  # it may come from a form: no way out of the folder
        raise ReleaseError(f"{release_id!r} is not a release id")
    path = releases / release_id
    try:
        manifest = Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ReleaseError(f"there is no release {release_id} (no {MANIFEST} in {path})") from None
    except (ValidationError, IsADirectoryError) as error:
        raise ReleaseError(f"the {MANIFEST} of release {release_id} is damaged: {error}") from error
    if manifest.release_id != release_id or not {DATABASE, SCORES} <= manifest.files.keys():
        raise ReleaseError(f"the {MANIFEST} in {path} is that of another release, {manifest.release_id}")
    return Release(release_id, path, manifest)
