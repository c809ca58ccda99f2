"""Scores a claims file by a ruleset of channels: batch after batch, reasons included, with bounded memory."""

from __future__ import annotations

import threading
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
from ml.rules import CHANNELS, Ruleset
from ml.scoring.channels import ANOMALY, EVIDENCE, ChannelScores, channel_scores
from ml.scoring.explain_anomaly import anomaly_names
from ml.scoring.stream import in_order
from ml.sql import sql_text

BATCH_ROWS = 61_440
"""Claims a batch, and a row group of the result."""

FIGURES = (
    "claim_id", "facility_key", "service_type", "severity_group", "severity_level", "facility_class", "ward_class",
    "tariff_region", "inacbg_code", "inacbg_tariff", "primary_diagnosis", "admission_diagnosis", "los",
    "comorbidity_count", "procedure_count", "amount_claimed", "topup_amount", "topup_codes", "excess_amount",
    "price_level", "price_n", "price_median", "stay_level", "stay_n", "stay_as_short", "admissions",
    "admission_alike", "admission_price_ratio", "upcoding_by", "topup_code", "topup_diagnosis", "topup_alike",
    "topup_n", "own_ln_ratio", "usual_exit", "repeat_after_days", "repeat_of",
    "repeat_identical", "repeat_alike", "repeat_n", "fragment_gap_days", "fragment_of", "fragment_alike", "fragment_n",
    "clone_count", "clone_of", "clone_expected", "readmission_after_days", "habit_pattern", "habit_observed",
    "habit_expected",
)  # fmt: skip
"""What the reasons name, besides the anomaly features."""
PROVIDER = ("claims", "risk_score", "rank", "providers", "pattern", "observed", "expected")
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

    The result does not depend on `threads` or `batch_rows`: a claim's row depends on the claim alone.

    Args:
        claims: a `claims_normalized` Parquet file.
        run: model, ruleset and what else is put on the rows.
        target: the Parquet file to write.
        threads: batches in work at a time.
        batch_rows: claims a batch.
    """
    local = threading.local()

    def score(batch: pa.RecordBatch) -> pa.Table:
        if not hasattr(local, "connection"):
            local.connection = _reasons_connection()
        return score_batch(pa.table(batch), run, local.connection)

    with (
        pq.ParquetFile(claims) as file,
        pq.ParquetWriter(target, SCORES_SCHEMA, compression="zstd") as writer,
    ):
        batches = file.iter_batches(batch_rows, columns=columns_of(run.ruleset))
        for part in in_order(score, batches, threads):
            writer.write_table(part, row_group_size=batch_rows)


def score_batch(claims: pa.Table, run: ScoringRun, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Score some claims: a pure function of their rows.

    Args:
        claims: the columns of `columns_of`.
        run: model, ruleset and what else is put on the rows.
        connection: where the reasons' SQL runs; nothing stays in it.

    Returns:
        The columns of `SCORES_SCHEMA`, in the claims' order.
    """
    claims = _flat(claims)
    scores = channel_scores(claims, run.model, run.ruleset)
    count = claims.num_rows
    moment = run.scored_at.astimezone(UTC).replace(tzinfo=None)  # the column is a plain TIMESTAMP in UTC
    columns = {
        "claim_id": claims.column("claim_id").combine_chunks(),
        "ml_score": scores.anomaly_score,
        "ml_score_normalized": scores.anomaly,
        "rule_score": scores.typologies,
        "risk_score": scores.risk,
        "channels": _channels(scores, count),
        "excess_amount": claims.column("excess_amount"),
        "flags": _flags(scores, run.ruleset),
        "reasons": _reasons(claims, scores, run, connection),
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


def _flags(scores: ChannelScores, ruleset: Ruleset) -> pa.Array:
    """The typologies that stand out, strongest first; of equals the first in the ruleset."""
    codes = [channel.code for channel in ruleset.channels if channel.role == "typology"]
    surprises = np.stack([scores.surprises[code] for code in codes], axis=1)
    raised = surprises >= ruleset.thresholds["flag_from"]
    order = np.argsort(-surprises, axis=1, kind="stable")
    in_order_raised = np.take_along_axis(raised, order, axis=1)
    offsets = np.concatenate([[0], np.cumsum(raised.sum(axis=1))]).astype(np.int32)
    chosen = pa.array(codes, pa.string()).take(pa.array(order[in_order_raised]))
    return pa.ListArray.from_arrays(pa.array(offsets), chosen)


def _reasons(
    claims: pa.Table, scores: ChannelScores, run: ScoringRun, connection: duckdb.DuckDBPyConnection
) -> pa.Array:
    """The reasons of each claim above the ruleset's risk, as a JSON array; '[]' for the others."""
    limits = run.ruleset.thresholds
    rows = np.flatnonzero(scores.risk >= limits["reasons_from_risk"])
    result = np.full(claims.num_rows, "[]", dtype=object)
    if not len(rows):
        return pa.array(result, pa.string())
    suspects = claims.take(pa.array(rows))
    for code, surprise in scores.surprises.items():
        suspects = suspects.append_column(f"surprise_{code}", pa.array(surprise[rows]))
    if ANOMALY in scores.surprises:
        told = scores.surprises[ANOMALY][rows] >= limits["flag_from"]
        for name, column in anomaly_names(suspects, told, run.model).items():
            suspects = suspects.append_column(name, column)
    connection.register("suspects", suspects)
    from_surprise = {name: limits[name] for name in ("reason_from", "flag_from")}
    said = connection.sql(_all_reasons(run.ruleset), params=from_surprise).to_arrow_table()
    connection.register("all_reasons", said)
    written = connection.sql(sql_text("scoring/50_written_reasons.sql")).to_arrow_table()
    for name in ("suspects", "all_reasons"):
        connection.unregister(name)
    place = np.asarray(pc.index_in(written.column("claim_id"), value_set=suspects.column("claim_id").combine_chunks()))
    result[rows[place]] = written.column("reasons").to_pylist()
    return pa.array(result, pa.string())


def _all_reasons(ruleset: Ruleset) -> str:
    """Every channel's reasons in one statement; a context's strength is weighed, so that it stands after typologies."""
    parts = []
    for channel in ruleset.channels:
        weight = channel.weight if channel.role == "context" else 1.0
        statement = sql_text(f"scoring/{ruleset.version}/{channel.code}.sql")
        parts.append(
            f"SELECT claim_id, code, {weight!r} * strength AS strength, telling, text_id, text_en, "
            "figures::VARCHAR AS figures\n"
            f"FROM ({statement})"
        )
    return "\nUNION ALL\n".join(parts)


def _reasons_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})  # the batches are the threads
    for name in ("00_macros", "05_anomaly_words"):
        connection.execute(sql_text(f"scoring/{name}.sql"))
    return connection
