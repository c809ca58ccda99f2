"""QC of one release: look at what readers see, compare with the last passed log, judge, and write the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ml.clock import now as clock_now
from ml.qc.changes import Previous, changes, find_previous
from ml.qc.logs import count_in_top_k, write_log
from ml.qc.release import ReleaseFacts, Row, open_release
from ml.qc.suite import MIN_DISTINCT_SCORES, TINY_ROWS, suite
from ml.qc.validate import validate
from ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

LISTED_FACILITIES = 10
"""Facilities named in `facility_in_top_k`."""


@dataclass(frozen=True)
class QcResult:
    """What QC found; `failures` decide, `warnings` only tell."""

    passed: bool
    log: Path
    failures: list[str]
    warnings: list[str]
    summary: dict[str, Any]


def run_quality_check(
    release_dir: Path,
    *,
    release_id: str,
    top_k: int,
    logs_dir: Path,
    expected_rows: int,
    run_id: str,
    settings: Settings,
    withdrawn: Callable[[str], bool] = lambda _: False,
    now: datetime | None = None,
) -> QcResult:
    """Look at a release exactly as its readers see it, and write the QC log `ml_scores_qc_<stamp>.json`.

    A failed expectation is part of the result, not an error: the caller decides. The suite stands in `suite.py`.

    Args:
        release_dir: folder (or a link to it) with `analytics.duckdb` and `claims_ml_scores.parquet`.
        release_id: name of the release, for the log; logs of the same release are not compared with.
        top_k: length of the auditors' list.
        logs_dir: folder of the logs, read for the comparison and written to.
        expected_rows: claims that were scored.
        run_id: run that published the release, for the log.
        settings: limits of the drift warnings, and of DuckDB.
        withdrawn: tells of a release id whether readers were taken off it; its log is not compared with.
        now: moment of the look, by default the present.

    Returns:
        `passed` is False exactly if a critical expectation failed; `failures` and `warnings` begin with the
        expectation's name; `summary` is the log's summary.

    Raises:
        QcError: QC could not look: a file, table or column is missing or unreadable. No log is written.
    """
    with open_release(release_dir, settings) as release:
        facts = release.facts(top_k)
        previous = find_previous(
            logs_dir, release_id=release_id, data_date=facts.scores["data_date"], withdrawn=withdrawn
        )
        figures = {"release_id": release_id, "run_id": run_id, **_figures(facts, top_k)}
        figures["changes"] = changes(previous, figures, [record["claim_id"] for record in facts.top_records])
        if figures["changes"]["total_rows_change"] is None:
            figures["changes"]["total_rows_change"] = _row_change(facts)
        whole = _release_frame(facts, figures, expected_rows, settings)
        outcomes = validate(suite(settings), {"claims": release.claims(), "release": [whole]})
    failed = [outcome for outcome in outcomes if not outcome.success and outcome.check.severity == "critical"]
    warned = [outcome for outcome in outcomes if not outcome.success and outcome.check.severity == "warning"]

    summary = figures | {
        "expected_rows": expected_rows,
        "passed": not failed,
        "failed_expectations": [outcome.check.name for outcome in failed],
        "warned_expectations": [outcome.check.name for outcome in warned],
    }
    content = {
        "summary": summary,
        "failures": [outcome.message for outcome in failed],
        "warnings": [outcome.message for outcome in warned],
        "expectations": [outcome.record() for outcome in outcomes],
        "top_records": _ranked(facts.top_records, previous),
        "left_top_k": _left(facts.top_records, previous),
    }
    log, written = write_log(logs_dir, now or clock_now(), content)
    return QcResult(not failed, log, written["failures"], written["warnings"], written["summary"])


def _figures(facts: ReleaseFacts, top_k: int) -> dict[str, Any]:
    """The summary's figures. Money in rupiah; `ml_score_top_k_mean` is of the normalised score, as it always was."""
    top, overall, scores = facts.top_records, facts.high_risk, facts.scores
    counts = count_in_top_k(top)
    return {
        "total_rows": scores["row_count"],
        "top_k": len(top),
        "amount_claimed_mean": overall["amount_claimed_mean"],
        "amount_claimed_top_k_mean": _mean(top, "amount_claimed"),
        "cost_zscore_mean": overall["cost_zscore_mean"],
        "cost_zscore_top_k_mean": _mean(top, "cost_zscore"),
        "los_le_1_ratio": overall["los_le_1_ratio"],
        "los_le_1_ratio_top_k": _mean_of(record["los"] <= 1 for record in top if record["los"] is not None),
        "risk_score_top_k_mean": _mean(top, "risk_score"),
        "ml_score_top_k_mean": _mean(top, "ml_score_normalized"),
        "ml_score_raw_top_k_mean": _mean(top, "ml_score"),
        "data_date": scores["data_date"],
        "scored_at": scores["scored_at"],
        "model_version": scores["model_version"],
        "ruleset_version": scores["ruleset_version"],
        "top_k_requested": top_k,
        "risk_score_cutoff": top[-1]["risk_score"] if top else None,
        "risk_score_cutoff_ties": facts.cutoff_ties,
        "flagged_rows": scores["flagged_rows"],
        "distinct_risk_scores": scores["distinct_risk_scores"],
        "parquet_rows": facts.parquet["row_count"],
        "backup_rows": facts.backup["row_count"],
        "amount_claimed_top_k_total": sum(record["amount_claimed"] or 0 for record in top),
        **{name: dict(counter.most_common()) for name, counter in counts.items()},
        "service_type_in_top_k": _counts(top, "service_type"),
        "facility_in_top_k": _counts(top, "facility_key", most=LISTED_FACILITIES),
    }


def _release_frame(
    facts: ReleaseFacts, figures: dict[str, Any], expected_rows: int, settings: Settings
) -> pd.DataFrame:
    """The one row that the checks on the release as a whole look at, all numbers."""
    import pandas as pd

    scores, parquet, high_risk = facts.scores, facts.parquet, facts.high_risk
    rows, top = scores["row_count"], facts.top_records
    overall_mean = figures["amount_claimed_mean"]
    # Where nearly all claims are of one province, so are the riskiest.
    one_province = (
        high_risk["largest_province_share"] is None or high_risk["largest_province_share"] > settings.qc_concentration
    )
    compare_means = rows > len(top) and overall_mean and figures["amount_claimed_top_k_mean"] is not None
    row = {
        "scores_rows": rows,
        "scores_rows_beyond_expected": rows - expected_rows,
        "high_risk_rows_beyond_expected": high_risk["row_count"] - expected_rows,
        "parquet_rows_beyond_scores": parquet["row_count"] - rows,
        "parquet_differs": parquet["content"] != scores["content"],
        "high_risk_differs": high_risk["content"] != scores["content"],
        "model_versions": scores["model_versions"],
        "ruleset_versions": scores["ruleset_versions"],
        "data_dates": scores["data_dates"],
        "distinct_risk_scores_short": (
            max(MIN_DISTINCT_SCORES - scores["distinct_risk_scores"], 0) if rows >= TINY_ROWS else 0
        ),
        "personal_columns": facts.personal_columns,
        "largest_province_share": (
            max(figures["province_in_top_k"].values(), default=0) / len(top) if top and not one_province else None
        ),
        "amount_claimed_top_k_to_overall": (
            figures["amount_claimed_top_k_mean"] / overall_mean if compare_means else None
        ),
        **{
            name: figures["changes"][name]
            for name in ("amount_claimed_top_k_mean_change", "los_le_1_ratio_top_k_change", "total_rows_change")
        },
    }
    return pd.DataFrame([row], dtype="float64")


def _row_change(facts: ReleaseFacts) -> float | None:
    """Where no log tells (they are gone, unreadable): the change of the claims since the release before, which stands
    in the backup. Not against one of a later data date, as a backfill has."""
    scores, backup = facts.scores, facts.backup
    if not backup["data_date"] or not scores["data_date"] or backup["data_date"] > scores["data_date"]:
        return None
    return float(scores["row_count"] / backup["row_count"] - 1)


def _ranked(records: list[Row], previous: Previous | None) -> list[Row]:
    """The top records with their rank and whether they were on the previous list (None: no list to compare with)."""
    return [
        {
            "rank": rank,
            **record,
            "new_in_top_k": record["claim_id"] not in previous.claim_ids if previous else None,
        }
        for rank, record in enumerate(records, start=1)
    ]


def _left(records: list[Row], previous: Previous | None) -> list[str]:
    """The claims of the previous list that are not on this one."""
    old = previous.claim_ids if previous else frozenset()
    return sorted(old.difference(record["claim_id"] for record in records))


def _mean(records: list[Row], field: str) -> float | None:
    return _mean_of(record[field] for record in records if record[field] is not None)


def _mean_of(values: Iterable[float]) -> float | None:
    finite = [value for value in values if isfinite(value)]
    return fmean(finite) if finite else None


def _counts(records: list[Row], field: str, most: int | None = None) -> dict[str, int]:
    return dict(Counter(record[field] for record in records if record[field] is not None).most_common(most))
