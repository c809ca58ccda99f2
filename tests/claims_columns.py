"""The columns of claims_normalized that compare a claim with its peers, as hand-made claims of several tests have them.

`tests/claims/test_claims_columns.py` holds them to what the ETL really writes.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

PATTERNS_TYPE = pa.list_(
    pa.struct(
        [
            ("pattern", pa.string()), ("observed", pa.int32()), ("expected", pa.float64()), ("ratio", pa.float64()),
            ("deviance", pa.float64()),
        ]
    )
)  # fmt: skip
PROVIDER_TYPE = pa.struct(
    [
        ("claims", pa.int32()), ("amount_claimed", pa.int64()), ("excess_amount", pa.int64()),
        ("risk_score", pa.float64()), ("rank", pa.int32()), ("providers", pa.int32()), ("deviance", pa.float64()),
        ("strong_observed", pa.int32()), ("strong_expected", pa.float64()),
        ("pattern", pa.string()), ("observed", pa.int32()), ("expected", pa.float64()),
    ]
)  # fmt: skip
PROVIDER: dict[str, Any] = {
    "claims": 200, "amount_claimed": 400_000_000, "excess_amount": 0, "risk_score": 0.3, "rank": 2, "providers": 3,
    "deviance": 0.0, "strong_observed": 0, "strong_expected": 0.8, "pattern": None, "observed": None, "expected": None,
}  # fmt: skip

ORDINARY: dict[str, tuple[pa.DataType, Any]] = {
    "narrow_peer_n": (pa.int32(), None), "narrow_peer_mean": (pa.float64(), None),
    "narrow_peer_p90": (pa.float64(), None), "narrow_peer_std": (pa.float64(), None),
    "secondary_diagnoses": (pa.string(), ""),
    "admission_diagnosis": (pa.string(), "A01"), "admissions": (pa.int64(), 300),
    "admission_alike": (pa.int32(), 270), "admission_share": (pa.float64(), 0.9),
    "admission_price_ratio": (pa.float64(), 1.0),
    "upcoding_by": (pa.string(), None), "topup_codes": (pa.string(), None), "excess_amount": (pa.int64(), 0),
    "price_level": (pa.int8(), 1), "price_n": (pa.int32(), 40), "price_median": (pa.float64(), 2_000_000.0),
    "price_ln_spread": (pa.float64(), 0.02), "price_ln_ratio": (pa.float64(), 0.0),
    "tariff_ln_ratio": (pa.float64(), 0.0), "day_price_ln_ratio": (pa.float64(), 0.0),
    "day_price_n": (pa.int32(), 40),
    "bill_as_far": (pa.int32(), None), "bill_n": (pa.int32(), None), "bill_share": (pa.float64(), None),
    "bill_chance": (pa.float64(), None),
    "stay_level": (pa.int8(), 1), "stay_n": (pa.int32(), 80), "stay_as_short": (pa.int32(), 40),
    "severity_alike": (pa.int32(), 60), "severity_n": (pa.int32(), 120),
    "los_share_low": (pa.float64(), 0.5), "severity_share": (pa.float64(), 0.5), "topup_share": (pa.float64(), None),
    "topup_code": (pa.string(), None),
    "topup_diagnosis": (pa.string(), None), "topup_procedure": (pa.string(), None),
    "own_ln_ratio": (pa.float64(), 0.0), "own_tariff_ln_ratio": (pa.float64(), 0.0),
    "factors_count": (pa.float64(), 0.0), "usual_exit": (pa.bool_(), True),
    "empty_alike": (pa.int32(), None), "empty_n": (pa.int32(), None), "empty_share": (pa.float64(), None),
    "empty_weight": (pa.float64(), None),
    "topup_alike": (pa.int32(), None), "topup_n": (pa.int32(), None), "topup_code_amount": (pa.int64(), None),
    "topup_usual_amount": (pa.int64(), None), "topup_with_code": (pa.int32(), None),
    "repeat_after_days": (pa.int32(), None), "repeat_of": (pa.string(), None), "repeat_identical": (pa.bool_(), None),
    "repeat_elsewhere": (pa.bool_(), None),
    "repeat_share": (pa.float64(), None), "repeat_alike": (pa.int32(), None), "repeat_n": (pa.int32(), None),
    "week_visits": (pa.int32(), None), "week_of": (pa.list_(pa.string()), None),
    "week_alike": (pa.int32(), None), "week_n": (pa.int32(), None),
    "week_share": (pa.float64(), None),
    "fragment_by": (pa.string(), None), "fragment_gap_days": (pa.int32(), None), "fragment_of": (pa.string(), None),
    "fragment_same": (pa.bool_(), None), "fragment_long": (pa.bool_(), None), "fragment_share": (pa.float64(), None),
    "fragment_alike": (pa.int32(), None), "fragment_n": (pa.int32(), None),
    "overlap_of": (pa.string(), None), "overlap_day": (pa.int32(), None), "overlap_los": (pa.int32(), None),
    "overlap_visit": (pa.bool_(), None), "overlap_died": (pa.bool_(), None), "overlap_weekday": (pa.int32(), None),
    "overlap_elsewhere": (pa.bool_(), None), "overlap_alike": (pa.int32(), None), "overlap_n": (pa.int32(), None),
    "overlap_share": (pa.float64(), None),
    "clone_by_amount": (pa.bool_(), None), "clone_count": (pa.int32(), None), "clone_of": (pa.list_(pa.string()), None),
    "clone_expected": (pa.float64(), None),
    "copy_count": (pa.int32(), None), "copy_of": (pa.list_(pa.string()), None),
    "copy_elsewhere": (pa.int32(), None), "copy_n": (pa.int32(), None),
    "copy_expected": (pa.float64(), None), "copy_share": (pa.float64(), None),
    "single_alike": (pa.int32(), None), "single_n": (pa.int32(), None), "single_share": (pa.float64(), None),
    "comorbidity_share": (pa.float64(), 0.5), "procedure_share": (pa.float64(), 0.5),
    "readmission_after_days": (pa.int32(), None), "readmission_share": (pa.float64(), None),
    "habit_pattern": (pa.string(), None), "habit_observed": (pa.int32(), None),
    "habit_expected": (pa.float64(), None),
    "evidence_upcoding": (pa.float64(), 0.0), "evidence_inflated_bill": (pa.float64(), 0.0),
    "evidence_short_stay": (pa.float64(), 0.5), "evidence_topup": (pa.float64(), 0.0),
    "evidence_repeat": (pa.float64(), 0.0), "evidence_fragmentation": (pa.float64(), 0.0),
    "evidence_overlap": (pa.float64(), 0.0),
    "evidence_clone": (pa.float64(), 0.0), "evidence_single_visit": (pa.float64(), 0.0),
    "evidence_provider": (pa.float64(), 0.0),
    "provider": (PROVIDER_TYPE, PROVIDER), "provider_patterns": (PATTERNS_TYPE, None),
}  # fmt: skip
"""Column -> its type and the value of a claim with nothing odd about it."""
