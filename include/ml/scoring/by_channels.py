"""Scores a claims file by a ruleset of channels: batch after batch, reasons included, with bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.model.anomaly import ANOMALY_COLUMNS
from ml.model.artefact import RiskModel
from ml.model.features import as_floats
from ml.parallel import in_order
from ml.rules import ANOMALY, CHANNELS, EVIDENCE, Ruleset
from ml.scoring.channels import ChannelScores, channel_scores
from ml.scoring.explain_anomaly import anomaly_names
from ml.sql import sql_text

BATCH_ROWS = 61_440
"""Claims a batch, and a row group of the result; half a row group of the claims."""

REASONED_ROWS = 15_000
"""Claims whose reasons are written at a time: to plan their statement takes as long as to run it for 5,000, and half of
the claims of a heavy row group may have reasons."""

FIGURES = (
    "claim_id", "facility_key", "facility_key_source", "service_type", "severity_group", "severity_level",
    "facility_class", "ward_class", "tariff_region", "inacbg_code", "inacbg_tariff", "primary_diagnosis",
    "admission_diagnosis", "los", "comorbidity_count", "procedure_count", "amount_claimed", "topup_amount",
    "topup_codes", "excess_amount", "price_level", "price_n", "price_median", "day_price_n", "bill_as_far", "bill_n",
    "stay_level", "stay_n", "stay_as_short", "severity_alike", "severity_n", "admissions", "admission_alike",
    "admission_price_ratio", "upcoding_by", "topup_code", "topup_diagnosis", "topup_procedure", "topup_alike",
    "topup_n", "topup_code_amount", "topup_usual_amount", "topup_with_code", "own_ln_ratio", "own_tariff_ln_ratio",
    "factors_count", "usual_exit", "empty_alike", "empty_n", "empty_weight", "repeat_after_days", "repeat_of",
    "repeat_identical", "repeat_elsewhere", "repeat_alike", "repeat_n", "repeat_share", "week_visits", "week_of",
    "week_alike", "week_n", "week_share", "fragment_by", "fragment_gap_days", "fragment_of", "fragment_same",
    "fragment_alike", "fragment_n", "fragment_share", "overlap_of", "overlap_day", "overlap_los", "overlap_visit",
    "overlap_died", "overlap_weekday", "overlap_elsewhere", "overlap_alike", "overlap_n", "overlap_share",
    "clone_by_amount", "clone_count", "clone_of", "clone_expected", "copy_count", "copy_of", "copy_elsewhere",
    "copy_n", "copy_expected", "single_alike", "single_n", "single_share", "readmission_after_days", "habit_pattern",
    "habit_observed", "habit_expected",
)  # fmt: skip
"""What the reasons name, besides the anomaly features."""
PROVIDER = (
    "claims", "risk_score", "rank", "providers", "strong_observed", "strong_expected",
    "pattern", "observed", "expected",
)  # fmt: skip
"""What the reasons name of the provider: fields of the column `provider`."""


CHANNELS_TYPE = pa.struct([(code, pa.float64()) for code in CHANNELS])
SCORES_SCHEMA = pa.schema(
    [
        ("claim_id", pa.string()),
        ("ml_score", pa.float64()),
        ("ml_score_normalized", pa.float64()),
        ("rule_score", pa.float64()),
        ("risk_score", pa.float64()),
        ("channels", CHANNELS_TYPE),
        ("excess_amount", pa.int64()),
        ("flags", pa.list_(pa.string())),
        ("reasons", pa.string()),
        ("model_version", pa.string()),
        ("ruleset_version", pa.string()),
        ("data_date", pa.date32()),
        ("scored_at", pa.timestamp("us")),
    ]
)
"""The columns of claims_ml_scores."""


class ChangedClaimsError(RuntimeError):
    """The ETL has rewritten the claims while they were being scored; scoring them again will do."""


@dataclass(frozen=True)
class ScoringRun:
    """What is put on every row: the versions, the data date and the moment (UTC)."""

    model: RiskModel
    ruleset: Ruleset
    data_date: date
    scored_at: datetime


def columns_of(ruleset: Ruleset) -> list[str]:
    """Return the columns of claims_normalized that scoring by this ruleset reads."""
    evidence = [EVIDENCE + channel.code for channel in ruleset.channels if channel.code != ANOMALY]
    provider = [f"provider.{field}" for field in PROVIDER]
    return [*dict.fromkeys((*FIGURES, *ANOMALY_COLUMNS, *evidence, *provider))]


def write_scores(claims: Path, run: ScoringRun, target: Path, *, threads: int, batch_rows: int = BATCH_ROWS) -> None:
    """Score every claim of a file and write the scores in the file's order.

    The result does not depend on `threads`, `batch_rows` or the file's row groups: a claim's row depends on the claim
    alone.

    Args:
        claims: a `claims_normalized` Parquet file.
        run: model, ruleset and what else is put on the rows.
        target: the Parquet file to write.
        threads: row groups of `claims` in work at a time.
        batch_rows: claims a batch.

    Raises:
        ChangedClaimsError: another file has taken the place of `claims` meanwhile.
    """
    local = threading.local()
    whole = _identity(claims)
    metadata = pq.read_metadata(claims)

    def score(row_group: int) -> pa.Table:
        if not hasattr(local, "connection"):
            local.connection = _reasons_connection()
        with pq.ParquetFile(claims, metadata=metadata) as file:
            if _identity(claims) != whole:
                raise ChangedClaimsError(f"{claims} was rewritten while it was being scored: score again.")
            batches = file.iter_batches(batch_rows, row_groups=[row_group], columns=columns_of(run.ruleset))
            return score_batches(map(pa.table, batches), run, local.connection)

    with pq.ParquetWriter(target, SCORES_SCHEMA, compression="zstd") as writer:
        for part in in_order(score, range(metadata.num_row_groups), threads):
            writer.write_table(part, row_group_size=batch_rows)


def _identity(file: Path) -> tuple[int, ...]:
    """What a file that takes its place, as the ETL writes it, does not have."""
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def score_batches(batches: Iterable[pa.Table], run: ScoringRun, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Score some claims: a pure function of their rows, however they are batched.

    Args:
        batches: the columns of `columns_of`; of each, only the claims that get reasons are kept.
        run: model, ruleset and what else is put on the rows.
        connection: where the reasons' SQL runs; nothing stays in it.

    Returns:
        The columns of `SCORES_SCHEMA`, in the claims' order.
    """
    scored = [_scored(_flat(batch), run) for batch in batches]
    if not scored:
        return SCORES_SCHEMA.empty_table()
    rows = pa.concat_tables(part for part, _ in scored)
    reasons = _reasons(pa.concat_tables(suspects for _, suspects in scored), run, connection)
    place = pc.index_in(rows.column("claim_id"), value_set=reasons.column("claim_id").combine_chunks())
    told = pc.fill_null(reasons.column("reasons").take(place), "[]")
    return rows.set_column(SCORES_SCHEMA.get_field_index("reasons"), SCORES_SCHEMA.field("reasons"), told)


def _scored(claims: pa.Table, run: ScoringRun) -> tuple[pa.Table, pa.Table]:
    """The rows of some claims, without their reasons, and what `_suspects` gives of them."""
    scores = channel_scores(claims, run.model, run.ruleset)
    flags = _flags(claims, scores, run.ruleset)
    return _rows(claims, scores, flags, run), _suspects(claims, scores, flags, run)


def _rows(claims: pa.Table, scores: ChannelScores, flags: pa.Array, run: ScoringRun) -> pa.Table:
    """The rows of some claims, without their reasons."""
    count = claims.num_rows
    moment = run.scored_at.astimezone(UTC).replace(tzinfo=None)  # the column is a plain TIMESTAMP in UTC
    columns = {
        "claim_id": claims.column("claim_id"),
        "ml_score": scores.anomaly_score,
        "ml_score_normalized": scores.anomaly,
        "rule_score": scores.typologies,
        "risk_score": scores.risk,
        "channels": _channels(scores, count),
        "excess_amount": claims.column("excess_amount"),
        "flags": flags,
        "reasons": pa.nulls(count, pa.string()),
        "model_version": pa.repeat(run.model.version, count),
        "ruleset_version": pa.repeat(run.ruleset.version, count),
        "data_date": pa.repeat(pa.scalar(run.data_date, pa.date32()), count),
        "scored_at": pa.repeat(pa.scalar(moment, pa.timestamp("us")), count),
    }
    return pa.table(columns, schema=SCORES_SCHEMA)


def _flat(claims: pa.Table) -> pa.Table:
    """The fields of `provider` as columns of their own, `provider_<field>`."""
    flat = claims.flatten() if "provider" in claims.column_names else claims
    return flat.rename_columns([name.replace("provider.", "provider_") for name in flat.column_names])


def _channels(scores: ChannelScores, count: int) -> pa.StructArray:
    """The surprise of each channel; NULL for one that the ruleset does not have."""
    none = pa.nulls(count, pa.float64())
    values = [pa.array(scores.surprises[code]) if code in scores.surprises else none for code in CHANNELS]
    return pa.StructArray.from_arrays(values, fields=list(CHANNELS_TYPE))


def _flags(claims: pa.Table, scores: ChannelScores, ruleset: Ruleset) -> pa.Array:
    """The typologies that stand out, strongest first; of equals the first in the ruleset.

    What is a probability among peers must be a small one, too: among all claims, most of which are outpatients', every
    severe stay stands out.
    """
    limits = ruleset.thresholds
    typologies = [channel for channel in ruleset.channels if channel.role == "typology"]
    codes = [channel.code for channel in typologies]
    surprises = np.stack([scores.surprises[code] for code in codes], axis=1)
    raised = surprises >= limits["flag_from"]
    for place, channel in enumerate(typologies):
        if channel.rank_alone_to is not None:
            evidence = as_floats(claims.column(EVIDENCE + channel.code))
            raised[:, place] &= evidence >= limits["flag_alone_from"] * np.log(10.0)
    order = np.argsort(-surprises, axis=1, kind="stable")
    in_order_raised = np.take_along_axis(raised, order, axis=1)
    offsets = np.concatenate([[0], np.cumsum(raised.sum(axis=1))]).astype(np.int32)
    chosen = pa.array(codes, pa.string()).take(pa.array(order[in_order_raised]))
    return pa.ListArray.from_arrays(pa.array(offsets), chosen)


def _suspects(claims: pa.Table, scores: ChannelScores, flags: pa.Array, run: ScoringRun) -> pa.Table:
    """The claims above the ruleset's risk, with what their reasons need."""
    limits = run.ruleset.thresholds
    rows = np.flatnonzero(scores.risk >= limits["reasons_from_risk"])
    suspects = claims.take(pa.array(rows)).append_column("flags", flags.take(pa.array(rows)))
    for code, surprise in scores.surprises.items():
        suspects = suspects.append_column(f"surprise_{code}", pa.array(surprise[rows]))
    if ANOMALY in scores.surprises:
        told = scores.surprises[ANOMALY][rows] >= limits["flag_from"]
        for name, column in anomaly_names(suspects, told, run.model).items():
            suspects = suspects.append_column(name, column)
    return suspects


def _reasons(suspects: pa.Table, run: ScoringRun, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The reasons of each claim that has any, as a JSON array: columns `claim_id` and `reasons`."""
    limits = run.ruleset.thresholds
    from_surprise = {name: limits[name] for name in ("reason_from", "flag_from")}
    # Into a table, as execute() plans the statement once and sql() twice.
    statement = f"CREATE OR REPLACE TEMP TABLE all_reasons AS\n{_all_reasons(run.ruleset)}"
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


def _reasons_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})  # the batches are the threads
    for name in ("00_macros", "05_anomaly_words"):
        connection.execute(sql_text(f"scoring/{name}.sql"))
    return connection
