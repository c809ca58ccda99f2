"""The ETL's run: contract check, SQL steps, publication of `claims_normalized` for one data date.

A run builds in a folder of its own and moves the finished files into place, so that runs (a backfill beside the
nightly one) cannot mix, and a failed run changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from ml.claims.contract import ContractReport, check_contract
from ml.claims.raw_files import RawInputError
from ml.claims.scratch import sweep_scratch
from ml.claims.steps import SQL_STEPS
from ml.clock import now
from ml.files import point_link, replace_durably, sha256_of
from ml.settings import Settings, duckdb_config
from ml.sql import sql_text

KEEP_DATES = 7
METADATA_KEY = b"claims_normalized"
FILE_ORDER = "service_type, severity_group, province_code, claim_id"
ROW_GROUP_ROWS = 122_880


class NoClaimsError(RuntimeError):
    """There is no claims_normalized for a data date; the message says how to make one."""


@dataclass(frozen=True)
class EtlBuild:
    """A started ETL run."""

    data_date: date
    run_name: str
    warehouse: Path  # the DuckDB file being built

    def as_xcom(self) -> dict[str, str]:
        """Return the build as strings, to hand it to another process."""
        return {"data_date": str(self.data_date), "run_name": self.run_name, "warehouse": str(self.warehouse)}

    @classmethod
    def from_xcom(cls, values: dict[str, str]) -> EtlBuild:
        """Return the build that `as_xcom` wrote down."""
        return cls(date.fromisoformat(values["data_date"]), values["run_name"], Path(values["warehouse"]))


@dataclass(frozen=True)
class ClaimsFile:
    """A published claims_normalized.

    Attributes:
        source: the raw visits file that it was made from.
        min_peers: CLAIMS_MIN_PEERS when it was made; None for a file of an earlier version.
    """

    path: Path
    data_date: date
    rows: int
    sha256: str
    source: str
    min_peers: int | None = None


def run_name_of(run_id: str) -> str:
    """Return a run id as a name that is safe for files; its hash keeps those apart that differ in other letters."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id)[:100].strip("-")
    return f"{readable or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def start_build(settings: Settings, data_date: date, run_id: str) -> tuple[EtlBuild, ContractReport]:
    """Check the raw files and stage them in a new warehouse file.

    Raises:
        RawInputError: the files cannot be used (see `ml.claims.contract.check_contract`).
    """
    run_name = run_name_of(run_id)
    folder = settings.work / "etl" / run_name
    shutil.rmtree(folder, ignore_errors=True)
    sweep_scratch(settings.work)  # what killed runs left still holds participant numbers
    folder.mkdir(parents=True, exist_ok=True)
    build = EtlBuild(data_date, run_name, folder / "warehouse.duckdb")
    report = check_contract(settings, data_date, build.warehouse, run_name)
    (folder / "contract.json").write_text(json.dumps(asdict(report), default=str))
    return build, report


def run_sql_steps(settings: Settings, build: EtlBuild) -> None:
    """Run all SQL steps, as the DAG's operators do one by one."""
    with duckdb.connect(str(build.warehouse), config=duckdb_config(settings, build.warehouse.parent)) as connection:
        for names in SQL_STEPS.values():
            for name in names:
                connection.execute(sql_text(name))


def publish_claims(settings: Settings, build: EtlBuild) -> ClaimsFile:
    """Check the counts, write `claims_normalized` of the data date as Parquet, and keep the warehouse.

    The file of each data date has its own name; `data/claims_normalized.parquet` and `warehouse.duckdb` always are the
    newest data date's.

    Raises:
        RawInputError: no claim was known on the data date.
        RuntimeError: claims were lost or repeated between staging and the result.
    """
    folder = settings.data / "claims_normalized"
    folder.mkdir(parents=True, exist_ok=True)
    done = build.warehouse.parent / "published.json"
    if not done.exists():
        _write_claims(settings, build, folder / f"{build.data_date}.parquet", done)
    published = find_claims(settings, build.data_date)
    with FileLock(folder / ".lock", timeout=settings.lock_timeout_seconds):
        newest = max(_dates(folder))
        point_link(settings.data / "claims_normalized.parquet", f"claims_normalized/{newest}.parquet")
        if build.data_date == newest and build.warehouse.exists():
            replace_durably(build.warehouse, settings.warehouse)
        _collect_old(folder)
        _collect_quarantine(settings)
    for leftover in build.warehouse.parent.iterdir():
        if leftover != done:  # it stays for a retry, should this process die before it is heard of
            leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover, ignore_errors=True)
    return published


def _write_claims(settings: Settings, build: EtlBuild, target: Path, done: Path) -> None:
    """Write the Parquet file of the data date in one step, and note that this run has."""
    if not build.warehouse.exists():
        raise RuntimeError(f"{build.warehouse}: this run's build is gone. Clear the run from check_contract.")
    contract = (build.warehouse.parent / "contract.json").read_text()
    unfinished = build.warehouse.parent / "claims_normalized.parquet"
    with duckdb.connect(str(build.warehouse), config=duckdb_config(settings, build.warehouse.parent)) as connection:
        [(min_peers,)] = connection.execute("SELECT min_peers FROM run_parameters").fetchall()
        metadata = {"data_date": str(build.data_date), "min_peers": min_peers, "contract": json.loads(contract)}
        _write_sorted(connection, unfinished, json.dumps(metadata))
        _check_counts(connection, build, unfinished)
    replace_durably(unfinished, target)
    done.write_text(json.dumps({"path": str(target)}))


def _write_sorted(connection: duckdb.DuckDBPyConnection, target: Path, metadata: str) -> None:
    """Write the view claims_normalized as Parquet, a row group at a time.

    Sorted, so that the file does not depend on the order of the raw rows; by the API's filters first, so that a release
    can sort the claims part by part. PyArrow writes, as DuckDB's own COPY keeps whole row groups waiting to keep an
    order, and with this many columns and 1.8 GB does all of it on one thread (docs/adr/0029).
    """
    claims = connection.sql(f"FROM claims_normalized ORDER BY {FILE_ORDER}")
    with (
        claims.to_arrow_reader(ROW_GROUP_ROWS) as batches,
        pq.ParquetWriter(
            target,
            batches.schema,
            compression="zstd",
            compression_level=1,
            store_schema=False,  # texts are texts to all who read them, not numbers of 79_words.sql
        ) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
        writer.add_key_value_metadata({METADATA_KEY: metadata})


def find_claims(settings: Settings, data_date: date | None = None) -> ClaimsFile:
    """Return the published claims of a data date; the newest when none is given.

    Raises:
        NoClaimsError: there is none, or its file is damaged.
    """
    folder = settings.data / "claims_normalized"
    dates = _dates(folder)
    wanted = data_date or max(dates, default=None)
    if wanted is None or wanted not in dates:
        which = f"for data date {data_date}" if data_date else "yet"
        raise NoClaimsError(
            f"{folder}: there is no claims_normalized {which}. Run the ETL first: the DAG claims_normalized, or "
            "python -m ml.pipelines.normalize_claims" + (f" --data-date {data_date}" if data_date else "")
        )
    path = folder / f"{wanted}.parquet"
    try:
        rows, made = pq.read_metadata(path).num_rows, made_with(path)
        source = str(made["contract"]["visits"]["file"])
    except (pa.ArrowInvalid, KeyError) as error:
        raise NoClaimsError(
            f"{path}: no claims_normalized, or a damaged one ({type(error).__name__}: {error}). Run the ETL again: the "
            f"DAG claims_normalized, or python -m ml.pipelines.normalize_claims --data-date {wanted}"
        ) from error
    return ClaimsFile(path, wanted, rows, sha256_of(path), source, made.get("min_peers"))


def require_columns(claims: Path, data_date: date, wanted: Iterable[str]) -> None:
    """Refuse a claims_normalized that lacks a column, or a field of one (`provider.rank`).

    Raises:
        NoClaimsError: it does, as another version of the ETL has made it.
    """
    schema = pq.read_schema(claims)
    missing = set()
    for name in wanted:
        column, _, field = name.partition(".")
        if column not in schema.names:
            missing.add(column)
        elif field and schema.field(column).type.get_field_index(field) < 0:
            missing.add(name)
    if missing:
        raise NoClaimsError(
            f"{claims}: no column {', '.join(sorted(missing))}; another version of this program made the file. Run the "
            f"ETL again: the DAG claims_normalized, or python -m ml.pipelines.normalize_claims --data-date {data_date}"
        )


def made_with(path: Path) -> dict[str, Any]:
    """Return what a claims_normalized was made with: data_date, min_peers, and the contract check's report.

    Empty for a Parquet file that the ETL did not write.
    """
    written = pq.read_metadata(path).metadata or {}
    return dict(json.loads(written.get(METADATA_KEY, b"{}")))


def _check_counts(connection: duckdb.DuckDBPyConnection, build: EtlBuild, written: Path) -> None:
    """Every accepted claim known on the data date is in the written file exactly once."""
    counts = connection.execute(sql_text("claims_normalized/audit_counts.sql"), {"written": str(written)})
    known, rows, distinct = counts.fetchall()[0]
    if known == 0:
        raise RawInputError(
            f"No claim in the raw files was discharged on or before the data date {build.data_date}. "
            "Choose a later data date, or put newer files into the raw folder."
        )
    if not known == rows == distinct:
        raise RuntimeError(
            f"claims_normalized has {rows:,} rows and {distinct:,} claim ids for {known:,} accepted claims: "
            "a step repeated or lost claims. Nothing was published."
        )


def _dates(folder: Path) -> list[date]:
    return [date.fromisoformat(path.stem) for path in folder.glob("????-??-??.parquet")]


def _collect_old(folder: Path) -> None:
    """Drop the claims of old data dates, but none written within the week: a backfill may be about to score it."""
    week_ago = now() - timedelta(days=7)
    for day in sorted(_dates(folder))[:-KEEP_DATES]:
        path = folder / f"{day}.parquet"
        if datetime.fromtimestamp(path.stat().st_mtime, week_ago.tzinfo) < week_ago:
            path.unlink()


def _collect_quarantine(settings: Settings) -> None:
    oldest = (now() - timedelta(days=settings.keep_quarantine_days)).timestamp()
    for folder in settings.quarantine.glob("*/"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
