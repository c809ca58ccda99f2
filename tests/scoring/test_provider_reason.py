"""What the reason of a claim's provider says: its strong claims, and its habit only where it has one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from ml.rules import load_ruleset
from ml.scoring.score import score_claims
from tests.claims_columns import PROVIDER
from tests.scoring.conftest import claims_table

AT = datetime(2023, 1, 1, 2, tzinfo=ZoneInfo("Asia/Jakarta"))
STRONG = PROVIDER | {"strong_observed": 59, "strong_expected": 4.2, "risk_score": 0.8}


@pytest.mark.parametrize(
    ("habit", "told_id", "told_en"),
    [
        ({}, "", ""),
        ({"pattern": "short_stay", "observed": 2, "expected": 0.2}, "", ""),
        (
            {"pattern": "short_stay", "observed": 7, "expected": 1.5},
            "7 rawat inap singkat (5% tersingkat sejenisnya), wajarnya 1,5; ",
            "7 short stays (the shortest 5% of their kind) where 1.5 would be expected; ",
        ),
    ],
    ids=["no habit", "one of two claims", "a habit"],
)
def test_a_habit_is_told_where_there_is_one(
    settings, write_claims, model, tmp_path, habit: dict[str, Any], told_id: str, told_en: str
) -> None:
    odd = {"evidence_topup": 9.0, "topup_share": 0.0001, "evidence_provider": 5.0, "provider": STRONG | habit}
    claims = write_claims(claims_table([odd]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", AT)
    [row] = [each for each in pq.read_table(candidate.scores).to_pylist() if each["claim_id"] == "special000"]
    [reason] = [each for each in json.loads(row["reasons"]) if each["code"] == "provider"]
    key = reason["figures"]["facility_key"]
    assert reason["text_id"] == (
        f"faskes {key}: {told_id}59 dari 200 klaim berbukti kuat, wajarnya 4,2; peringkat risiko 2 dari 3 faskes"
    )
    assert reason["text_en"] == (
        f"facility {key}: {told_en}59 of 200 claims with strong evidence where 4.2 would be expected; "
        "risk rank 2 of 3 facilities"
    )
    assert reason["figures"]["strong_observed"] == 59
    assert reason["figures"]["pattern"] == habit.get("pattern")


def test_a_habit_alone_is_told_with_its_pattern_and_not_once_more(settings, write_claims, model, tmp_path) -> None:
    """The claim's habit counts in its provider's channel; of strong claims there is nothing to tell then."""
    provider = PROVIDER | {"strong_observed": 5, "strong_expected": 4.2}
    odd = {"evidence_topup": 9.0, "topup_share": 0.0001, "evidence_provider": 5.0, "provider": provider}
    claims = write_claims(claims_table([odd]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", AT)
    [row] = [each for each in pq.read_table(candidate.scores).to_pylist() if each["claim_id"] == "special000"]
    assert row["channels"]["provider"] >= 1
    assert [reason["code"] for reason in json.loads(row["reasons"])] == ["topup"]
