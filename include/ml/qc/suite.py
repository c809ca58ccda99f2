"""The expectations on a release, each with its severity and its meaning: the whole suite reads in one place.

Names of Great Expectations' classes stand here as text, because its import takes seconds and only QC needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ml.claims.layout import SERVICE_TYPES
from ml.settings import Settings

SEVERITY_GROUPS = ("rawat_jalan", "ringan", "sedang", "berat", "tidak_diketahui")
RESIDUAL_TOLERANCE = 1e-9
MIN_DISTINCT_SCORES = 50
"""A model that works gives thousands of values; RULESET_v1 alone gives five."""
TINY_ROWS = 1_000
"""Below this, few distinct scores say nothing."""
MAX_ROW_DROP = 0.2

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Check:
    """One expectation. Frame `claims` has one row a claim and comes in parts, frame `release` one row in all."""

    name: str
    frame: Literal["claims", "release"]
    severity: Severity
    expectation: str
    column: str
    meaning: str
    arguments: dict[str, Any] = field(default_factory=dict)


def _claims(name: str, expectation: str, column: str, meaning: str, **arguments: Any) -> Check:
    return Check(name, "claims", "critical", f"ExpectColumnValues{expectation}", column, meaning, arguments)


def _release(severity: Severity, name: str, column: str, meaning: str, **bounds: Any) -> Check:
    return Check(name, "release", severity, "ExpectColumnValuesToBeBetween", column, meaning, bounds)


def suite(settings: Settings) -> tuple[Check, ...]:
    """Return the checks; the settings say where drift begins."""
    return (*_per_claim(), *_per_release(), *_against_previous(settings))


def _per_claim() -> tuple[Check, ...]:
    in_0_1 = {"min_value": 0, "max_value": 1}
    scores = ("risk_score", "rule_score", "ml_score_normalized")
    return (
        _claims("claim_id_not_null", "ToNotBeNull", "claim_id", "Every row names its claim."),
        _claims("claim_id_unique", "ToBeInSet", "claim_id_repeated", "A claim is listed once.", value_set=[0]),
        *(
            _claims(f"{score}_not_null", "ToNotBeNull", score, f"Every claim has a {score} that is a finite number.")
            for score in (*scores, "ml_score")
        ),
        *(_claims(f"{score}_in_range", "ToBeBetween", score, f"{score} lies in 0..1.", **in_0_1) for score in scores),
        _claims(
            "risk_score_is_max",
            "ToBeBetween",
            "risk_score_residual",
            "risk_score is the larger of rule_score and ml_score_normalized (RULESET_v1), or at least rule_score.",
            min_value=0,
            max_value=RESIDUAL_TOLERANCE,
        ),
        _claims(
            "flag_for_rule_score",
            "ToBeInSet",
            "flag_missing",
            "By RULESET_v1 a claim with a rule_score above 0 names the rule (flags).",
            value_set=[0],
        ),
        _claims(
            "reason_for_rule_score",
            "ToBeInSet",
            "reason_missing",
            "A flagged claim gives the auditor a reason.",
            value_set=[0],
        ),
        _claims(
            "claim_facts_present",
            "ToBeInSet",
            "claim_facts_missing",
            "Every scored claim was found among the normalized claims (LOS, amount, service type, severity).",
            value_set=[0],
        ),
        _claims("los_not_negative", "ToBeBetween", "los", "No discharge before the admission.", min_value=0),
        _claims(
            "amount_claimed_not_negative", "ToBeBetween", "amount_claimed", "No negative amount claimed.", min_value=0
        ),
        _claims(
            "service_type_known",
            "ToBeInSet",
            "service_type",
            "The service type is RJTL or RITL.",
            value_set=sorted(SERVICE_TYPES.values()),
        ),
        _claims(
            "severity_group_known",
            "ToBeInSet",
            "severity_group",
            "The severity group is one of the five that the INA-CBG code can mean.",
            value_set=list(SEVERITY_GROUPS),
        ),
    )


def _per_release() -> tuple[Check, ...]:
    same = {"min_value": 0, "max_value": 0}
    one = {"min_value": 1, "max_value": 1}
    return (
        _release(
            "critical",
            "row_count_expected",
            "high_risk_rows_beyond_expected",
            "claims_high_risk, which the API reads, holds as many claims as were scored.",
            **same,
        ),
        _release(
            "critical",
            "scores_row_count_expected",
            "scores_rows_beyond_expected",
            "claims_ml_scores holds as many claims as were scored.",
            **same,
        ),
        _release("critical", "release_not_empty", "scores_rows", "A release holds claims.", min_value=1),
        _release(
            "critical",
            "parquet_row_count_same",
            "parquet_rows_beyond_scores",
            "The Parquet file holds as many claims as the table claims_ml_scores.",
            **same,
        ),
        _release(
            "critical",
            "parquet_content_same",
            "parquet_differs",
            "The Parquet file holds the same scores, flags and reasons as the table claims_ml_scores.",
            **same,
        ),
        _release(
            "critical",
            "high_risk_content_same",
            "high_risk_differs",
            "claims_high_risk holds the same scores, flags and reasons as the table claims_ml_scores.",
            **same,
        ),
        _release("critical", "one_model_version", "model_versions", "One model scored every claim.", **one),
        _release("critical", "one_ruleset_version", "ruleset_versions", "One ruleset judged every claim.", **one),
        _release("critical", "one_data_date", "data_dates", "All claims belong to one data date.", **one),
        _release(
            "critical",
            "score_not_degenerate",
            "distinct_risk_scores_short",
            f"From {TINY_ROWS:,} claims on, risk_score has at least {MIN_DISTINCT_SCORES} different values, so that it "
            "ranks (observed: how many are lacking).",
            **same,
        ),
        _release(
            "critical",
            "no_personal_columns",
            "personal_columns",
            "No table that readers see has a column with a participant's or family's number or key.",
            **same,
        ),
    )


def _against_previous(settings: Settings) -> tuple[Check, ...]:
    """The warnings. What cannot be compared (no log before) is NULL, which Great Expectations lets pass."""
    return (
        _release(
            "warning",
            "amount_top_k_drift",
            "amount_claimed_top_k_mean_change",
            "The mean amount claimed of the top-K changed little against the last passed log (observed: change as a "
            f"share of the old mean; limit {settings.qc_amount_drift:g}, CLAIMS_QC_AMOUNT_DRIFT).",
            min_value=-settings.qc_amount_drift,
            max_value=settings.qc_amount_drift,
        ),
        _release(
            "warning",
            "los_top_k_drift",
            "los_le_1_ratio_top_k_change",
            "The top-K's share of claims with LOS <= 1 changed little against the last passed log (observed: change in "
            f"share points; limit {settings.qc_los_drift:g}, CLAIMS_QC_LOS_DRIFT).",
            min_value=-settings.qc_los_drift,
            max_value=settings.qc_los_drift,
        ),
        _release(
            "warning",
            "row_count_drop",
            "total_rows_change",
            f"The claims are not more than {MAX_ROW_DROP:.0%} fewer than in the last passed log, or without one in "
            "the backup (observed: change as a share of the old number).",
            min_value=-MAX_ROW_DROP,
        ),
        _release(
            "critical",
            "row_count_collapse",
            "total_rows_change",
            f"The claims are not more than {settings.qc_row_drop:.0%} fewer than in the last passed log, without one "
            "than in the backup: a broken export replaces nothing. Are they meant to be, publish them with "
            "CLAIMS_QC_ROW_DROP=1.",
            min_value=-settings.qc_row_drop,
        ),
        _release(
            "warning",
            "province_concentration",
            "largest_province_share",
            "No single province fills the top-K (observed: share of the largest; "
            f"limit {settings.qc_concentration:g}, CLAIMS_QC_CONCENTRATION; not looked at when one province has more "
            "of all claims, too).",
            max_value=settings.qc_concentration,
        ),
        _release(
            "warning",
            "amount_top_k_above_overall",
            "amount_claimed_top_k_to_overall",
            "The top-K's mean amount claimed lies above that of all claims (observed: their quotient; not looked at "
            "when the top-K is all there is).",
            min_value=1,
            strict_min=True,
        ),
    )
