"""Builds a release's DuckDB file, and compares it with its Parquet file. The statements are in include/sql/release."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from ml.parallel import in_order
from ml.release.manifest import ReleaseError
from ml.sql import sql_text

_Config: TypeAlias = dict[str, str | bool | int | float | list[str]]

SCORES_SCHEMA = {
    "claim_id": "VARCHAR",
    "ml_score": "DOUBLE",
    "ml_score_normalized": "DOUBLE",
    "rule_score": "DOUBLE",
    "risk_score": "DOUBLE",
    "channels": "STRUCT(upcoding DOUBLE, inflated_bill DOUBLE, short_stay DOUBLE, topup DOUBLE, repeat DOUBLE, "
    "fragmentation DOUBLE, overlap DOUBLE, clone DOUBLE, single_visit DOUBLE, provider DOUBLE, anomaly DOUBLE)",
    "excess_amount": "BIGINT",
    "flags": "VARCHAR[]",
    "reasons": "VARCHAR",
    "model_version": "VARCHAR",
    "ruleset_version": "VARCHAR",
    "data_date": "DATE",
    "scored_at": "TIMESTAMP",
}
"""Columns of `claims_ml_scores` and of the Parquet file, with DuckDB's names of their types."""

PART_ROWS = 122_880
"""Claims of `claims_high_risk` that are sorted at a time, a row group of DuckDB's; one cluster of its filters may be
more. With 150,000 two parts at a time took 130 MB more."""

PARTS_AT_A_TIME = 2
ROWS_AT_A_TIME = 600_000
"""One part keeps hardly more than one core busy, so two are built at a time; not where they are that large, as a
million claims may take 1 GB."""

PERSONAL_COLUMNS = frozenset({"pstv01", "pstv02", "patient_key", "family_key"})
"""Numbers and keys of persons, in lower case: they stay out of what is served."""


@contextmanager
def build(
    database: Path,
    *,
    scores: Path,
    claims: Path,
    previous_scores: Path | None,
    info: Mapping[str, str],
    memory_limit: str,
    threads: int,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Build a new DuckDB file and hand out its connection for the checks; afterwards all is in that one file.

    Raises:
        ReleaseError: DuckDB cannot read the inputs or write the file (a column is missing, the disk is full).
    """
    spill = database.with_name("spill")
    config: _Config = {"memory_limit": memory_limit, "threads": threads, "temp_directory": str(spill)}
    try:
        with duckdb.connect(database, config=config) as connection:
            # A part's last row group is not full. To merge such ones at the checkpoint would write all again.
            connection.execute("SET max_vacuum_tasks = 0")
            connection.execute("ATTACH ':memory:' AS scratch")
            for name, file in (("scores", scores), ("claims", claims)):
                path = str(file).replace("'", "''")  # a view takes no parameters
                rows = f"read_parquet('{path}', file_row_number = TRUE)"
                connection.execute(f"CREATE VIEW scratch.{name} AS FROM {rows}")
            same = {name: info[name] for name in ("model_version", "ruleset_version", "data_date", "scored_at")}
            _see_scratch(connection)
            _build_high_risk(connection, same, threads)  # first, as it needs the most memory
            # As small as what DuckDB finds by trying, in less time. Not for claims_high_risk, which is searched by its
            # texts.
            connection.execute("SET force_compression = 'zstd'")
            run(connection, "30_scores.sql")
            if previous_scores is None:
                run(connection, "41_backup_empty.sql")
            else:
                run(connection, "40_backup.sql", previous_scores=str(previous_scores))
            connection.execute("RESET force_compression")
            connection.execute(sql_text("scoring/00_macros.sql"))  # how the reasons write figures
            run(connection, "50_provider_risk.sql")
            run(connection, "60_release_info.sql", keys=list(info), values=list(info.values()))
            yield connection
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise ReleaseError(f"the tables of the release could not be built: {error}") from error


def _see_scratch(connection: duckdb.DuckDBPyConnection) -> None:
    """Look for a name beside the release's tables, too: temporary ones are a single connection's."""
    [(database,)] = connection.execute("SELECT current_database()").fetchall()
    connection.execute(f"SET search_path = '{database},scratch'")


def _build_high_risk(connection: duckdb.DuckDBPyConnection, same: Mapping[str, str], threads: int) -> None:
    """Build claims_high_risk part by part, and each in a transaction of its own."""
    run(connection, "10_words.sql")
    select = sql_text("release/20_high_risk.sql")
    parts = run(connection, "15_parts.sql", part_rows=PART_ROWS)
    largest = sorted(last_row - first_row + 1 for first_row, last_row in parts)[-PARTS_AT_A_TIME:]
    at_a_time = min(threads, PARTS_AT_A_TIME) if sum(largest) <= ROWS_AT_A_TIME else 1
    connection.execute(f"CREATE TABLE claims_high_risk AS\n{select}", {**same, "first_row": 0, "last_row": -1})

    def insert(part: tuple[int, int]) -> duckdb.DuckDBPyConnection:
        cursor = connection.cursor()
        _see_scratch(cursor)
        cursor.begin()
        first_row, last_row = part
        rows = {"first_row": first_row, "last_row": last_row}
        cursor.execute(f"INSERT INTO claims_high_risk\n{select}", {**same, **rows})
        return cursor

    connection.execute(f"SET threads = {threads - at_a_time + 1}")  # of all cursors, besides those that call
    for cursor in in_order(insert, parts, at_a_time):  # committed in order, they stand in the table in order
        cursor.commit()
        cursor.close()
    connection.execute(f"SET threads = {threads}")


@contextmanager
def opened(database: Path, *, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a release's DuckDB file read-only, beside any other reader of this process, whatever its settings.

    Raises:
        duckdb.Error: it is not a readable DuckDB file.
    """
    # A connection of its own with the file attached: opening the path itself fails when this process already has it
    # open with other settings.
    config: _Config = {"memory_limit": memory_limit, "threads": threads, "temp_directory": ""}
    with duckdb.connect(config=config) as connection:
        connection.execute("ATTACH $database AS release (READ_ONLY)", {"database": str(database)})
        connection.execute("USE release")
        yield connection


def run(connection: duckdb.DuckDBPyConnection, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement of include/sql/release and return its rows."""
    return connection.execute(sql_text(f"release/{statement}"), parameters).fetchall()


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return the number of rows of a table."""
    [(rows,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(rows)


def compare_problems(
    connection: duckdb.DuckDBPyConnection,
    *,
    scores: Path,
    previous_scores: Path | None,
) -> list[str]:
    """Say where tables and Parquet files differ, row for row and in any order; empty when they agree."""
    places = run(connection, "check_same_rows.sql", scores=str(scores))
    problems = _differing(places, expected=3)
    if previous_scores is not None:
        backup = run(connection, "check_same_backup.sql", previous_scores=str(previous_scores))
        problems += _differing(backup, expected=2)
    return problems


def _differing(places: list[tuple[Any, ...]], *, expected: int) -> list[str]:
    if len({(rows, digest) for _, rows, digest in places}) == 1 and len(places) == expected:
        return []
    found = "; ".join(f"{place}: {rows} rows, digest {digest}" for place, rows, digest in places)
    return [f"the same scores should stand in {expected} places, but: {found or 'all are empty'}"]


def origin_problems(
    connection: duckdb.DuckDBPyConnection,
    *,
    data_date: date,
    model_version: str,
    ruleset_version: str,
    of_earlier_version: bool = False,
) -> list[str]:
    """Say which columns, claim ids or origins of `claims_ml_scores` are wrong; empty when all are as they should be.

    A stored release may be `of_earlier_version`, when there were fewer channels: that is no damage.
    """
    schema = columns(connection, "claims_ml_scores")
    wanted = dict(SCORES_SCHEMA)
    if of_earlier_version and _channels(schema.get("channels", "")) <= _channels(wanted["channels"]):
        wanted["channels"] = schema.get("channels", "")
    if schema != wanted:
        wrong = sorted(set(schema.items()) ^ set(wanted.items()))
        return [f"claims_ml_scores has other columns than it should have: {wrong}"]
    problems = [
        f"claims_ml_scores: claim id {claim_id!r} has {times} rows"
        for claim_id, times in run(connection, "check_claim_ids.sql")
    ]
    foreign = run(
        connection,
        "check_one_origin.sql",
        data_date=data_date,
        model_version=model_version,
        ruleset_version=ruleset_version,
    )
    return problems + [
        f"claims_ml_scores: claim {claim_id!r} is of data date {day}, model {model}, ruleset {ruleset}; "
        f"the release is of {data_date}, {model_version}, {ruleset_version}"
        for claim_id, day, model, ruleset in foreign
    ]


def provider_problems(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say which facilities of `provider_risk` are missing, or have figures that cannot be or are not their claims'.

    For a release that is being built: a stored one may be of an earlier version, without the table or some reasons.
    """
    return [
        f"provider_risk: facility {facility!r} has {field} {found} instead of {wanted}"
        for facility, field, found, wanted in run(connection, "check_provider_risk.sql")
    ]


def _channels(struct: str) -> set[str]:
    return set(re.findall(r"(\w+) DOUBLE", struct))


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return the columns of a table with DuckDB's names of their types."""
    relation = connection.table(table)
    return {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
