"""`score_claims`: scores every claim of a data date and leaves a candidate for the audit and the publication."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.claims.etl import ClaimsFile
from ml.files import sha256_of
from ml.model.artefact import RiskModel
from ml.release import Candidate
from ml.rules import Ruleset
from ml.scoring.explain import ml_reasons
from ml.scoring.stream import ml_scores
from ml.settings import Settings, duckdb_config
from ml.sql import sql_files, sql_text

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
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scores = folder / "claims_ml_scores.parquet"
    by_forest = ml_scores(claims.path, model, threads=settings.threads)
    with duckdb.connect(config=duckdb_config(settings, folder)) as connection:
        connection.execute(sql_text("scoring/00_macros.sql"))
        connection.read_parquet(str(claims.path)).create_view("claims")
        connection.register("ml_scores", by_forest)
        _register_ruleset(connection, ruleset)
        for name in sql_files(f"scoring/{ruleset.version}"):
            connection.execute(sql_text(name))
        wanted = {"forest_above": EXPLAINED_ABOVE, "riskiest": EXPLAINED_RISKIEST}
        to_explain = connection.sql(sql_text("scoring/30_to_explain.sql"), params=wanted).to_arrow_table()
        connection.register("ml_reasons", ml_reasons(to_explain, model, threads=settings.threads))
        run = {"model_version": model.version, "ruleset_version": ruleset.version}
        connection.register("scoring_run", _one_row(**run, data_date=claims.data_date, scored_at=scored_at))
        connection.sql(sql_text("scoring/40_claims_ml_scores.sql")).write_parquet(
            str(scores), compression="zstd", row_group_size=122_880
        )
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


def _one_row(*, scored_at: datetime, **values: object) -> pa.Table:
    naive = scored_at.astimezone(UTC).replace(tzinfo=None)  # the column is a plain TIMESTAMP in UTC
    return pa.Table.from_pylist([{**values, "scored_at": naive}])
