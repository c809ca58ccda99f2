"""Writes the reasons of the claims that stand out, by the statements of a ruleset of channels."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from ml.rules import Ruleset
from ml.sql import sql_text

REASONED_ROWS = 30_000
"""Claims whose reasons are written at a time. To plan their statement takes as long as to run it for 7,000."""


def reasons_connection() -> duckdb.DuckDBPyConnection:
    """Return a connection that knows the words of reasons."""
    connection = duckdb.connect(config={"threads": 1})  # scoring goes on meanwhile
    for name in ("00_macros", "05_anomaly_words"):
        connection.execute(sql_text(f"scoring/{name}.sql"))
    return connection


def written_reasons(suspects: pa.Table, ruleset: Ruleset, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the reasons of each claim that has any, as a JSON array: columns `claim_id` and `reasons`.

    Args:
        suspects: claims with the columns that the ruleset's statements read.
        ruleset: one with channels.
        connection: of `reasons_connection`; nothing of the claims stays in it.
    """
    limits = ruleset.thresholds
    from_surprise = {name: limits[name] for name in ("reason_from", "flag_from")}
    # Into a table, as execute() plans the statement once and sql() twice.
    statement = f"CREATE OR REPLACE TEMP TABLE all_reasons AS\n{_all_reasons(ruleset)}"
    written = []
    for first in range(0, max(suspects.num_rows, 1), REASONED_ROWS):
        connection.register("suspects", suspects.slice(first, REASONED_ROWS))
        connection.execute(statement, from_surprise)
        written.append(connection.sql(sql_text("scoring/50_written_reasons.sql")).to_arrow_table())
        connection.execute("DROP TABLE all_reasons")
        connection.unregister("suspects")
    return pa.concat_tables(written)


def _all_reasons(ruleset: Ruleset) -> str:
    """Every channel's reasons in one statement; a context's strength is weighed, so that it stands after typologies.

    Where the claim id names no facility, the sentences speak of a group.
    """
    parts = []
    for channel in ruleset.channels:
        weight = channel.weight if channel.role == "context" else 1.0
        statement = sql_text(f"scoring/{ruleset.version}/{channel.code}.sql")
        parts.append(
            f"SELECT claim_id, code, {weight!r} * strength AS strength, telling, text_id, text_en, "
            "figures::VARCHAR AS figures\n"
            f"FROM ({statement})"
        )
    every = "\nUNION ALL\n".join(parts)
    replaced = [f"facility_words_{of}(text_{of}, facility_key_source) AS text_{of}" for of in ("id", "en")]
    replaced.append("telling OR list_contains(flags, code) AS telling")  # who filters by a flag looks for its reason
    # Nothing else says why all of the bill is excess (60_evidence.sql).
    needed = "code = 'repeat' AND coalesce(repeat_identical, FALSE) AND excess_amount = amount_claimed"
    return (
        f"SELECT reasons.* REPLACE ({', '.join(replaced)}), {needed} AS needed\n"
        f"FROM ({every}) AS reasons INNER JOIN suspects USING (claim_id)"
    )
