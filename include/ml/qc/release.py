"""Reads of a release what QC looks at: through the same files that readers open, and only the columns needed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ml.qc.errors import QcError
from ml.release.tables import PERSONAL_COLUMNS
from ml.settings import Settings, duckdb_config
from ml.sql import sql_text

if TYPE_CHECKING:
    import pandas as pd

DATABASE = "analytics.duckdb"
PARQUET = "claims_ml_scores.parquet"
TABLES = ("claims_ml_scores", "claims_ml_scores_backup", "claims_high_risk")
FEW_VALUES = ("service_type", "severity_group")
VECTOR_ROWS = 2048
"""What DuckDB counts a result's rows in."""
PART_ROWS = 100 * VECTOR_ROWS
"""Claims in memory at a time."""

Row = dict[str, Any]


@dataclass(frozen=True)
class ReleaseFacts:
    """What QC knows of a release. Money in rupiah, LOS in days."""

    scores: Row  # scores_totals.sql
    parquet: Row  # parquet_totals.sql
    high_risk: Row  # high_risk_totals.sql
    backup: Row  # backup_totals.sql
    top_records: list[Row]  # worst first, flags and reasons as lists
    cutoff_ties: int  # claims that share the lowest risk score of top_records
    personal_columns: int  # columns of any table with a participant or family identifier


@contextmanager
def open_release(release_dir: Path, settings: Settings) -> Iterator[OpenRelease]:
    """Open a release, read-only.

    Raises:
        QcError: a file is missing, or cannot be opened.
    """
    release = release_dir.resolve()  # of a link, the one release it names now
    for name in (DATABASE, PARQUET):
        if not (release / name).is_file():
            raise QcError(f"{release / name}: no such file, so {release_dir} is no complete release. Run verify.")
    settings.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qc-", dir=settings.work) as folder:  # not in a release: it is immutable
        config = duckdb_config(settings, Path(folder))
        try:
            connection = duckdb.connect(str(release / DATABASE), read_only=True, config=config)
        except duckdb.Error as error:
            raise QcError(f"{release / DATABASE}: cannot be opened: {error}") from error
        with connection:
            yield OpenRelease(release, connection)


class OpenRelease:
    """Runs the statements of include/sql/qc on one release.

    All methods raise QcError where a table or column is missing, or cannot be read.
    """

    def __init__(self, release: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.database = release / DATABASE
        self.parquet = release / PARQUET
        self.connection = connection

    def facts(self, top_k: int) -> ReleaseFacts:
        """Return what the release as a whole holds, and its `top_k` riskiest claims."""
        parquet = str(self.parquet)
        columns = self._rows("released_columns", parquet=parquet)
        missing = sorted(set(TABLES) - {row["table_name"] for row in columns})
        if missing:
            raise QcError(f"{self.database}: no table {', '.join(missing)}. Run verify on the release.")
        top_records = [_parsed(record) for record in self._rows("top_records", top_k=top_k)]
        cutoff = top_records[-1]["risk_score"] if top_records else None
        return ReleaseFacts(
            scores=self._row("scores_totals"),
            parquet=self._row("parquet_totals", parquet=parquet),
            high_risk=self._row("high_risk_totals"),
            backup=self._row("backup_totals"),
            top_records=top_records,
            cutoff_ties=self._row("cutoff_ties", cutoff=cutoff)["row_count"],
            personal_columns=sum(row["column_name"].lower() in PERSONAL_COLUMNS for row in columns),
        )

    def claims(self) -> Iterator[pd.DataFrame]:
        """Yield all claims in parts of PART_ROWS, one of no rows where there are none.

        Yields:
            One row a claim, index 0..n-1, the columns of claims.sql.
        """
        with self._blaming("claims"):
            result = self.connection.cursor().execute(sql_text("qc/claims.sql"))
            part = result.fetch_df_chunk(PART_ROWS // VECTOR_ROWS)
        while True:
            # Great Expectations hashes a whole frame, twice; of text that takes longest.
            yield part.astype(dict.fromkeys(FEW_VALUES, "category"))
            with self._blaming("claims"):
                part = result.fetch_df_chunk(PART_ROWS // VECTOR_ROWS)
            if part.empty:
                return

    def _rows(self, statement: str, **parameters: object) -> list[Row]:
        with self._blaming(statement):
            cursor = self.connection.execute(sql_text(f"qc/{statement}.sql"), parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _row(self, statement: str, **parameters: object) -> Row:
        return self._rows(statement, **parameters)[0]

    @contextmanager
    def _blaming(self, statement: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise QcError(
                f"{self.database.parent}: QC cannot run include/sql/qc/{statement}.sql on {DATABASE} and {PARQUET}: "
                f"{error}. Run verify on the release."
            ) from error


def _parsed(record: Row) -> Row:
    """Return a top record with `flags` and `reasons` as lists; what cannot be parsed is an empty list."""
    try:
        reasons = json.loads(record["reasons"] or "[]")
    except ValueError:
        reasons = []
    return record | {"flags": record["flags"] or [], "reasons": reasons if isinstance(reasons, list) else []}
