"""The contract check: raw files in, typed accepted rows in the warehouse, the rest in quarantine with reasons.

Counts always add up: rows in = accepted + quarantined, for each file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from ml.claims import layout
from ml.claims.keys import use_secret
from ml.claims.raw_files import RawFile, RawInputError, find_raw_file, finish_reading, open_raw_file, reading
from ml.claims.scratch import scratch_folder
from ml.clock import JAKARTA
from ml.settings import Settings, SettingsError, duckdb_config
from ml.sql import sql_text

PERSONAL_NUMBERS = ("pstv01", "pstv02")
"""Columns of numbers that stay in the raw zone; file and row lead back to them."""
SLIPS = 2
"""Columns on either side of them that stay there too: where fields have slipped by so many, the numbers stand there."""


CODE_LISTS = {
    "province": ("FKL05", layout.PROVINCES),
    "ownership": ("FKL07", layout.OWNERSHIPS),
    "facility_type": ("FKL08", layout.FACILITY_TYPES),
    "facility_class": ("FKL09", layout.FACILITY_CLASSES),
    "service_type": ("FKL10", layout.SERVICE_TYPES),
}


MANY = 100
"""Visits from which on most amounts cannot be 0."""
CODES_TOLD = 20
"""A column that has slipped has hundreds of unknown codes."""


class ContractError(RawInputError):
    """Too many rows of a raw file break the contract; the message names the columns and examples."""


@dataclass(frozen=True)
class FileCount:
    """How the rows of one raw file were judged."""

    file: str
    rows: int
    accepted: int
    quarantined: int
    quarantine: str | None  # the Parquet file with the quarantined rows
    reasons: dict[str, int]  # rows per reason; a row may have several


@dataclass(frozen=True)
class ContractReport:
    """The outcome of a contract check."""

    data_date: date
    visits: FileCount
    diagnoses: FileCount
    unknown_codes: dict[str, int]  # accepted visits per field and code that no list knows ("FKL05 = 95")

    def lines(self) -> list[str]:
        """Return the counts as lines for a log."""
        result = []
        for count in (self.visits, self.diagnoses):
            result.append(
                f"{count.file}: {count.rows:,} rows = {count.accepted:,} accepted + {count.quarantined:,} quarantined"
            )
            result += [f"  {rows:>9,}  {reason}" for reason, rows in count.reasons.items()]
        if self.unknown_codes:
            told = [f"{code} ({visits:,} visits)" for code, visits in list(self.unknown_codes.items())[:CODES_TOLD]]
            more = len(self.unknown_codes) - len(told)
            result.append(
                f"Unknown codes, accepted and scored as {layout.UNKNOWN!r}: {', '.join(told)}"
                f"{f' and {more} more' if more else ''}. "
                "A new code belongs into ml.claims.layout; another one should be corrected in the export."
            )
        return result


def check_contract(settings: Settings, data_date: date, database: Path, run_name: str) -> ContractReport:
    """Read the raw files into a new warehouse file, and quarantine what breaks the contract.

    Args:
        settings: raw folder, secret, limits.
        data_date: Jakarta date the warehouse is built for; later steps leave out claims discharged after it.
        database: DuckDB file to make; an existing one is replaced.
        run_name: names the quarantine folder, where the rows of an earlier attempt are replaced once the files
            could be read; safe as a file name.

    Raises:
        RawInputError: a file is missing, ambiguous, empty, truncated or lacks a column.
        ContractError: more than `settings.max_bad_share` of a file's rows break the contract, or most amounts are 0.
        SettingsError: the keyed hash has no secret.
    """
    if settings.patient_key_secret is None:
        raise SettingsError(
            "CLAIMS_PATIENT_KEY_SECRET is not set. The ETL needs a secret of 16 characters or more for the keyed "
            "hash of patient numbers; keep it the same from night to night."
        )
    quarantine = settings.quarantine / f"{data_date}-{run_name}"
    visits_path = find_raw_file(settings.raw, "fkrtl")
    diagnoses_path = find_raw_file(settings.raw, "diagnosissekunder")
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    with (
        scratch_folder(database.parent) as scratch,
        duckdb.connect(str(database), config=duckdb_config(settings, scratch)) as connection,
    ):
        # A moment with a timezone, typed or written, is a Jakarta day, whatever this machine's timezone.
        connection.execute(f"SET TimeZone = '{JAKARTA.key}'")
        connection.execute("SET VARIABLE data_date = $data_date::DATE", {"data_date": data_date})
        connection.execute(sql_text("contract/00_macros.sql"))
        use_secret(connection, settings.patient_key_secret)
        visits = open_raw_file(connection, visits_path, layout.FKRTL, "raw_visits", scratch)
        diagnoses = open_raw_file(connection, diagnoses_path, layout.DIAGNOSIS, "raw_diagnoses", scratch)
        _read(connection, visits, "10_checked_visits", "checked_visits")
        connection.execute(sql_text("contract/20_duplicate_claim_ids.sql"))
        _read(connection, diagnoses, "30_checked_diagnoses", "checked_diagnoses")
        connection.execute(sql_text("contract/40_stray_diagnoses.sql"))
        connection.execute(sql_text("contract/50_accepted.sql"))
        _store_parameters(connection, settings, data_date)
        # Of a run that was cleared: its rows may have been corrected.
        shutil.rmtree(quarantine, ignore_errors=True)
        report = ContractReport(
            data_date,
            _judge(connection, visits, "checked_visits", quarantine / "fkrtl.parquet"),
            _judge(connection, diagnoses, "checked_diagnoses", quarantine / "diagnosissekunder.parquet"),
            {
                f"{CODE_LISTS[kind][0]} = {code}": visits
                for kind, code, visits in connection.execute(sql_text("contract/60_unknown_codes.sql")).fetchall()
            },
        )
        _fail_if_too_many(connection, settings, visits, "checked_visits", report.visits)
        _fail_if_too_many(connection, settings, diagnoses, "checked_diagnoses", report.diagnoses)
        _fail_without_amounts(connection, visits)
    return report


def _read(connection: duckdb.DuckDBPyConnection, raw: RawFile, statement: str, table: str) -> None:
    """Run the one statement that reads a raw file."""
    with reading(raw):
        connection.execute(sql_text(f"contract/{statement}.sql"))
    finish_reading(connection, raw, table)


def _store_parameters(connection: duckdb.DuckDBPyConnection, settings: Settings, data_date: date) -> None:
    """Leave the run's parameters and the code lists where the SQL steps find them."""
    connection.execute(
        "CREATE TABLE run_parameters AS "
        "SELECT CAST($data_date AS DATE) AS data_date, CAST($min_peers AS INTEGER) AS min_peers",
        {"data_date": data_date, "min_peers": settings.min_peers},
    )
    rows = [(kind, code, label) for kind, (_, labels) in CODE_LISTS.items() for code, label in labels.items()]
    connection.execute("CREATE TABLE code_labels (kind VARCHAR, code INTEGER, label VARCHAR)")
    connection.executemany("INSERT INTO code_labels VALUES (?, ?, ?)", rows)


def _judge(connection: duckdb.DuckDBPyConnection, raw: RawFile, table: str, target: Path) -> FileCount:
    """Write one file's bad rows to quarantine and count."""
    parsed, accepted = connection.sql(f"SELECT count(*), count(*) FILTER (WHERE reasons = '') FROM {table}").fetchall()[
        0
    ]
    quarantined = parsed - accepted + len(raw.rejected)
    reasons = dict(
        connection.sql(
            "SELECT reason, count(*) FROM (SELECT unnest(string_split(reasons, '; ')) AS reason "
            f"FROM {table} WHERE reasons <> '') GROUP BY reason ORDER BY 2 DESC, 1"
        ).fetchall()
    )
    if raw.rejected:
        reasons["malformed line"] = len(raw.rejected)
    if quarantined:
        _write_quarantine(connection, raw, table, target)
    return FileCount(
        str(raw.path),
        parsed + len(raw.rejected),
        accepted,
        quarantined,
        str(target) if quarantined else None,
        reasons,
    )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, raw: RawFile, table: str, target: Path) -> None:
    """Write the bad rows as text, with their place in the file and every reason."""
    bad = connection.sql(
        f"SELECT rowid + 1 AS row_no, reasons FROM {table} WHERE reasons <> '' ORDER BY rowid"
    ).to_arrow_table()
    places = bad.append_column("source_row", pa.array(_source_rows(bad.column("row_no").to_numpy(), raw)))
    lines = pa.table(
        {
            "source_row": pa.array([line.source_row for line in raw.rejected], pa.int64()),
            "reasons": pa.array([line.reason for line in raw.rejected], pa.string()),
        }
    )
    connection.register("places", places)
    connection.register("malformed_lines", lines)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    withheld = _withheld(raw)
    shown = ", ".join(f"{_shown(name)} AS {name}" for name in raw.columns if name not in withheld)
    query = f"""
        SELECT $file AS source_file, places.source_row, places.reasons, {shown}
        FROM places
        INNER JOIN {raw.numbered_view} AS raw ON places.row_no = raw.row_no
        UNION ALL BY NAME
        SELECT $file AS source_file, source_row, reasons FROM malformed_lines
        ORDER BY source_row
    """
    connection.execute(
        f"COPY ({query}) TO '{str(temporary).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)",
        {"file": raw.path.name},
    )
    temporary.replace(target)
    connection.unregister("places")
    connection.unregister("malformed_lines")


def _withheld(raw: RawFile) -> set[str]:
    """Return the file's columns where a personal number stands, or does once fields have slipped."""
    order = [name.strip().lower() for name in raw.order]
    places = [place for place, name in enumerate(order) if name in PERSONAL_NUMBERS]
    return {name for place in places for name in order[max(place - SLIPS, 0) : place + SLIPS + 1]}


def _shown(column: str) -> str:
    """The SQL for a field as people may see it; a claim id is all digits in some hospitals."""
    return f"cleaned({column})" if column == "fkl02" else f"without_number({column})"


def _source_rows(row_no: np.ndarray, raw: RawFile) -> np.ndarray:
    """Turn places among the parsed rows into places in the file: rejected lines stand between them.

    With rejected rows r0 < r1 < ..., parsed row g comes after rejected row ri exactly if g >= ri - i.
    """
    rejected = np.array([line.source_row for line in raw.rejected], dtype=np.int64)
    return np.asarray(row_no + np.searchsorted(rejected - np.arange(len(rejected)), row_no, side="right"))


def _fail_if_too_many(
    connection: duckdb.DuckDBPyConnection, settings: Settings, raw: RawFile, table: str, count: FileCount
) -> None:
    if count.quarantined <= settings.max_bad_share * count.rows and count.accepted > 0:
        return
    worst = [
        f"  {reason} ({rows:,} rows{_example(connection, raw, table, reason)})"
        for reason, rows in list(count.reasons.items())[:8]
    ]
    raise ContractError(
        f"{raw.path}: {count.quarantined:,} of {count.rows:,} rows break the contract; "
        f"the limit is {settings.max_bad_share:.2%} (CLAIMS_MAX_BAD_SHARE).\n"
        + "\n".join(worst)
        + f"\nThe rows and their reasons are in {count.quarantine}. "
        "Correct the export and run again; nothing that was published has changed."
    )


def _fail_without_amounts(connection: duckdb.DuckDBPyConnection, raw: RawFile) -> None:
    """Refuse an export whose amounts were lost: each 0 by itself keeps the contract, most of many cannot be right."""
    [(visits, free)] = connection.sql(
        "SELECT count(*), count(*) FILTER (WHERE amount_claimed = 0) FROM checked_visits WHERE reasons = ''"
    ).fetchall()
    if visits >= MANY and free * 2 > visits:
        raise ContractError(
            f"{raw.path}: FKL47, the amount claimed, is 0 in {free:,} of {visits:,} visits: the amounts were lost. "
            "Correct the export and run again; nothing that was published has changed."
        )


def _example(connection: duckdb.DuckDBPyConnection, raw: RawFile, table: str, reason: str) -> str:
    """The first row with a reason, and what stands there unless it is a personal number."""
    column = reason.split(":")[0].lower()
    if column not in {item.name.lower() for item in (*layout.FKRTL, *layout.DIAGNOSIS)}:
        return ""
    first = connection.execute(
        f"SELECT min(rowid) + 1 FROM {table} WHERE contains(reasons, $reason)", {"reason": reason}
    ).fetchall()[0][0]
    if first is None:
        return ""
    shown = "NULL" if column in _withheld(raw) else _shown(column)
    text = connection.sql(f"SELECT {shown} FROM {raw.numbered_view} WHERE row_no = {first} LIMIT 1").fetchall()[0][0]
    place = _source_rows(np.array([first]), raw)[0]
    return f", e.g. row {place}" + (f": {text[:40]!r}" if text else "")
