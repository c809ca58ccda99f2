"""Reads of a release what QC looks at: through the same files that readers open, and only the columns needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ml.qc.errors import QcError
from ml.settings import Settings
from ml.sql import sql_text

if TYPE_CHECKING:
    import pandas as pd

DATABASE = "analytics.duckdb"
PARQUET = "claims_ml_scores.parquet"
TABLES = ("claims_ml_scores", "claims_ml_scores_backup", "claims_high_risk")
PERSONAL_COLUMNS = frozenset({"pstv01", "pstv02", "patient_key", "family_key"})
FEW_VALUES = ("service_type", "severity_group")

Row = dict[str, Any]


@dataclass(frozen=True)
class ReleaseFacts:
    """What QC knows of a release. Money in rupiah, LOS in days."""

    claims: pd.DataFrame  # one row a claim, index 0..n-1, the columns of claims.sql
    scores: Row  # scores_totals.sql
    parquet: Row  # parquet_totals.sql
    high_risk: Row  # high_risk_totals.sql
    backup: Row  # backup_totals.sql
    top_records: list[Row]  # worst first, flags and reasons as lists
    cutoff_ties: int  # claims that share the lowest risk score of top_records
    personal_columns: int  # columns of any table with a participant or family identifier


def read_release(release_dir: Path, *, top_k: int, settings: Settings) -> ReleaseFacts:
    """Read a release, read-only.

    Raises:
        QcError: a file, table or column is missing, or cannot be read.
    """
    release = release_dir.resolve()  # of a link, the one release it names now
    for name in (DATABASE, PARQUET):
        if not (release / name).is_file():
            raise QcError(f"{release / name}: no such file, so {release_dir} is no complete release. Run verify.")
    reader = _Reader(release, settings)
    try:
        return _read(reader, top_k)
    finally:
        reader.close()


class _Reader:
    """Runs the statements of include/sql/qc on one release."""

    def __init__(self, release: Path, settings: Settings) -> None:
        self.database = release / DATABASE
        self.parquet = release / PARQUET
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "temp_directory": str(settings.work / "qc"),  # not beside the database: a release is immutable
        }
        try:
            self.connection = duckdb.connect(str(self.database), read_only=True, config=config)
        except duckdb.Error as error:
            raise QcError(f"{self.database}: cannot be opened: {error}") from error

    def close(self) -> None:
        self.connection.close()

    def rows(self, statement: str, **parameters: object) -> list[Row]:
        with self._blaming(statement):
            cursor = self.connection.execute(sql_text(f"qc/{statement}.sql"), parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, statement: str, **parameters: object) -> Row:
        return self.rows(statement, **parameters)[0]

    def claims(self) -> pd.DataFrame:
        statement = "claims"
        with self._blaming(statement):
            frame = self.connection.execute(sql_text(f"qc/{statement}.sql")).df()
        # Great Expectations hashes the whole frame, twice; of text that takes longest.
        return frame.astype(dict.fromkeys(FEW_VALUES, "category"))

    @contextmanager
    def _blaming(self, statement: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise QcError(
                f"{self.database.parent}: QC cannot run include/sql/qc/{statement}.sql on {DATABASE} and {PARQUET}: "
                f"{error}. Run verify on the release."
            ) from error


def _read(reader: _Reader, top_k: int) -> ReleaseFacts:
    parquet = str(reader.parquet)
    columns = reader.rows("released_columns", parquet=parquet)
    missing = sorted(set(TABLES) - {row["table_name"] for row in columns})
    if missing:
        raise QcError(f"{reader.database}: no table {', '.join(missing)}. Run verify on the release.")
    top_records = [_parsed(record) for record in reader.rows("top_records", top_k=top_k)]
    cutoff = top_records[-1]["risk_score"] if top_records else None
    return ReleaseFacts(
        claims=reader.claims(),
        scores=reader.row("scores_totals"),
        parquet=reader.row("parquet_totals", parquet=parquet),
        high_risk=reader.row("high_risk_totals"),
        backup=reader.row("backup_totals"),
        top_records=top_records,
        cutoff_ties=reader.row("cutoff_ties", cutoff=cutoff)["row_count"],
        personal_columns=sum(row["column_name"].lower() in PERSONAL_COLUMNS for row in columns),
    )


def _parsed(record: Row) -> Row:
    """Return a top record with `flags` and `reasons` as lists; what cannot be parsed is an empty list."""
    try:
        reasons = json.loads(record["reasons"] or "[]")
    except ValueError:
        reasons = []
    return record | {"flags": record["flags"] or [], "reasons": reasons if isinstance(reasons, list) else []}
