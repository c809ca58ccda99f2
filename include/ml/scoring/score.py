"""`score_claims`: scores every claim of a data date and leaves a candidate for the audit and the publication."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.claims.etl import ClaimsFile, require_columns
from ml.files import sha256_of
from ml.model.artefact import RiskModel
from ml.model.features import SOURCE_COLUMNS
from ml.release import Candidate
from ml.rules import Ruleset
from ml.scoring.by_channels import BATCH_ROWS, SCORES_SCHEMA, ScoringRun, columns_of, write_scores
from ml.scoring.explain import ml_reasons
from ml.scoring.stream import ml_scores
from ml.settings import Settings, duckdb_config
from ml.sql import sql_text

EXPLAINED_ABOVE = 0.5
"""Every claim with a larger ml_score_normalized gets the forest's reason, so no larger risk_score is without one."""
EXPLAINED_RISKIEST = 10_000
"""So do that many of the riskiest where the forest's part decides: the longest list of auditors (REFRESH_TOP_K)."""


def score_claims(
    settings: Settings, claims: ClaimsFile, model: RiskModel, ruleset: Ruleset, folder: Path, scored_at: datetime
) -> Candidate:
    """Score all claims and write `claims_ml_scores.parquet` and `candidate.json` into a folder.

    The same claims, model and ruleset give the same scores bit for bit; only `scored_at` differs.

    Args:
        settings: limits.
        claims: the claims to score.
        model: the model to score with.
        ruleset: the ruleset to score with.
        folder: where the candidate is written; emptied first.
        scored_at: the moment put on every row (UTC).

    Raises:
        NoClaimsError: the claims lack a column, as another version of the ETL has made them.
    """
    # Batches come and go on several threads. What they leave goes back to the system at once: Arrow's own allocator
    # (mimalloc) and malloc keep it, which takes a fifth more memory, and a third more at 12 million claims.
    pa.set_memory_pool(pa.jemalloc_memory_pool())
    pa.jemalloc_set_decay_ms(0)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scores = folder / "claims_ml_scores.parquet"
    run = ScoringRun(model, ruleset, claims.data_date, scored_at)
    wanted = columns_of(ruleset) if ruleset.channels else [*SOURCE_COLUMNS, "narrow_peer_n"]
    require_columns(claims.path, claims.data_date, wanted)
    if ruleset.channels:
        write_scores(claims.path, run, scores, threads=settings.threads)
    else:
        _score_by_flags(settings, claims.path, run, scores)
    candidate = Candidate(
        scores=scores,
        scores_sha256=sha256_of(scores),
        claims=claims.path,
        data_date=claims.data_date,
        scored_at=scored_at,
        model_version=model.version,
        model_sha256=model.content_sha256,
        ruleset_version=ruleset.version,
        ruleset_sha256=ruleset.sha256,
        input_sha256=claims.sha256,
    )
    (folder / "candidate.json").write_text(json.dumps(asdict(candidate), default=str))
    return candidate


def _score_by_flags(settings: Settings, claims: Path, run: ScoringRun, target: Path) -> None:
    """RULESET_v1: the forest in batches, then flags, min-max over the run and reasons in SQL."""
    model, ruleset = run.model, run.ruleset
    with duckdb.connect(config=duckdb_config(settings, target.parent)) as connection:
        connection.execute(sql_text("scoring/00_macros.sql"))
        connection.read_parquet(str(claims), file_row_number=True).create_view("all_claims")
        connection.execute(sql_text(f"scoring/{ruleset.version}/05_claims.sql"))
        seen_by_forest = connection.view("claims").select("claim_id", *SOURCE_COLUMNS)
        by_forest = ml_scores(seen_by_forest.to_arrow_reader(BATCH_ROWS), model, threads=settings.threads)
        connection.register("ml_scores", by_forest)
        connection.register("scoring_run", _one_row(run))
        _register_ruleset(connection, ruleset)
        for name in ("10_raised_flags", "20_scored"):
            connection.execute(sql_text(f"scoring/{ruleset.version}/{name}.sql"))
        wanted = {"forest_above": EXPLAINED_ABOVE, "riskiest": EXPLAINED_RISKIEST}
        to_explain = sql_text(f"scoring/{ruleset.version}/30_to_explain.sql")
        explained = ml_reasons(
            connection.sql(to_explain, params=wanted).to_arrow_table(), model, threads=settings.threads
        )
        connection.register("ml_reasons", explained)
        connection.execute(sql_text(f"scoring/{ruleset.version}/40_all_reasons.sql"))
        connection.sql(sql_text("scoring/50_written_reasons.sql")).create_view("written_reasons")
        connection.sql(sql_text(f"scoring/{ruleset.version}/60_claims_ml_scores.sql")).write_parquet(
            str(target), compression="zstd", row_group_size=BATCH_ROWS
        )


def load_candidate(folder: Path) -> Candidate:
    """Read back the candidate that `score_claims` left in a folder."""
    fields = json.loads((folder / "candidate.json").read_text())
    return Candidate(
        **fields
        | {
            "scores": Path(fields["scores"]),
            "claims": Path(fields["claims"]),
            "data_date": date.fromisoformat(fields["data_date"]),
            "scored_at": datetime.fromisoformat(fields["scored_at"]),
        }
    )


def _register_ruleset(connection: duckdb.DuckDBPyConnection, ruleset: Ruleset) -> None:
    weights = [{"code": flag.code, "weight": flag.weight} for flag in ruleset.flags]
    connection.register("ruleset_flags", pa.Table.from_pylist(weights))
    connection.register("ruleset_thresholds", pa.Table.from_pylist([ruleset.thresholds]))


def _one_row(run: ScoringRun) -> pa.Table:
    """What is put on every row; `channels` is empty, as only rulesets of channels have them."""
    values = {
        "model_version": run.model.version,
        "ruleset_version": run.ruleset.version,
        "data_date": run.data_date,
        "scored_at": run.scored_at.astimezone(UTC).replace(tzinfo=None),  # the column is a plain TIMESTAMP in UTC
        "channels": None,
    }
    return pa.Table.from_pylist([values], schema=pa.schema([SCORES_SCHEMA.field(name) for name in values]))
