"""Scores a claims file by a ruleset of channels: batch after batch, reasons included, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from ml.scoring.channel_reasons import REASONED_ROWS, reasons_connection, written_reasons
from ml.scoring.channels import ChannelScores, channel_scores
from ml.scoring.explain_anomaly import anomaly_names

BATCH_ROWS = 61_440
"""Claims a batch, and a row group of the result; half a row group of the claims."""

GATHERED_GROUPS = 4
"""Row groups of the claims, at most, that wait until there are enough of them to write their reasons."""

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


@dataclass(frozen=True)
class Scored:
    """Scored claims whose reasons are still to be written.

    Attributes:
        rows: in the claims' order; of `SCORES_SCHEMA` what is a claim's own, without its reasons.
        suspects: the claims above the ruleset's risk, with what their reasons need.
    """

    rows: pa.Table
    suspects: pa.Table


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
    whole = _identity(claims)
    metadata = pq.read_metadata(claims)

    def score(row_group: int) -> Scored:
        with pq.ParquetFile(claims, metadata=metadata) as file:
            if _identity(claims) != whole:
                raise ChangedClaimsError(f"{claims} was rewritten while it was being scored: score again.")
            batches = file.iter_batches(batch_rows, row_groups=[row_group], columns=columns_of(run.ruleset))
            # pa.table(batch) would hold on to all of a batch while any of its columns is in use.
            return score_batches((pa.Table.from_batches([batch]) for batch in batches), run)

    with reasons_connection() as connection, pq.ParquetWriter(target, SCORES_SCHEMA, compression="zstd") as writer:
        row_groups = (group for group in range(metadata.num_row_groups) if metadata.row_group(group).num_rows)
        scored = in_order(score, row_groups, threads)
        # Beside the scoring of the next claims, and one after the other, as one connection plans them.
        for part in in_order(lambda some: told(some, run, connection), _gathered(scored), 1):
            writer.write_table(part, row_group_size=batch_rows)


def _gathered(scored: Iterable[Scored]) -> Iterator[Scored]:
    """Put together what comes until its reasons are worth a statement, or it is `GATHERED_GROUPS`."""
    waiting: list[Scored] = []
    for some in scored:
        waiting.append(some)
        suspects = sum(part.suspects.num_rows for part in waiting)
        if suspects >= REASONED_ROWS or len(waiting) == GATHERED_GROUPS:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(parts: Iterable[Scored]) -> Scored:
    parts = list(parts)
    return Scored(pa.concat_tables(part.rows for part in parts), pa.concat_tables(part.suspects for part in parts))


def _identity(file: Path) -> tuple[int, ...]:
    """What a file that takes its place, as the ETL writes it, does not have."""
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def score_batches(batches: Iterable[pa.Table], run: ScoringRun) -> Scored:
    """Score some claims: a pure function of their rows, however they are batched.

    Args:
        batches: the columns of `columns_of`; of each, only the claims that get reasons are kept.
        run: model and ruleset.
    """
    return _together(_scored(_flat(batch), run) for batch in batches)


def told(scored: Scored, run: ScoringRun, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the rows of some claims with their reasons: the columns of `SCORES_SCHEMA`, in the claims' order.

    Args:
        scored: the claims.
        run: ruleset and what is put on every row.
        connection: of `reasons_connection`.
    """
    rows, count = scored.rows, scored.rows.num_rows
    reasons = written_reasons(scored.suspects, run.ruleset, connection)
    place = pc.index_in(rows.column("claim_id"), value_set=reasons.column("claim_id").combine_chunks())
    moment = run.scored_at.astimezone(UTC).replace(tzinfo=None)  # the column is a plain TIMESTAMP in UTC
    columns = dict(zip(rows.column_names, rows.columns, strict=True)) | {
        "reasons": pc.fill_null(reasons.column("reasons").take(place), "[]"),
        "model_version": pa.repeat(run.model.version, count),
        "ruleset_version": pa.repeat(run.ruleset.version, count),
        "data_date": pa.repeat(pa.scalar(run.data_date, pa.date32()), count),
        "scored_at": pa.repeat(pa.scalar(moment, pa.timestamp("us")), count),
    }
    return pa.table(columns, schema=SCORES_SCHEMA)


def _scored(claims: pa.Table, run: ScoringRun) -> Scored:
    scores = channel_scores(claims, run.model, run.ruleset)
    flags = _flags(claims, scores, run.ruleset)
    return Scored(_rows(claims, scores, flags), _suspects(claims, scores, flags, run))


def _rows(claims: pa.Table, scores: ChannelScores, flags: pa.Array) -> pa.Table:
    columns = {
        "claim_id": claims.column("claim_id"),
        "ml_score": scores.anomaly_score,
        "ml_score_normalized": scores.anomaly,
        "rule_score": scores.typologies,
        "risk_score": scores.risk,
        "channels": _channels(scores, claims.num_rows),
        "excess_amount": claims.column("excess_amount"),
        "flags": flags,
    }
    return pa.table(columns, schema=pa.schema([SCORES_SCHEMA.field(name) for name in columns]))


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
