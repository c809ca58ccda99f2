"""What the reason of a repeat says in English, and beside a week too full of visits."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from ml.rules import load_ruleset
from ml.scoring.score import score_claims
from tests.scoring.conftest import claims_table

AT = datetime(2023, 1, 1, 2, tzinfo=ZoneInfo("Asia/Jakarta"))
REPEAT = {
    "evidence_repeat": 9.0, "repeat_after_days": 1, "repeat_of": "R", "repeat_share": 0.004, "repeat_alike": 3,
    "repeat_n": 700, "repeat_identical": False, "repeat_elsewhere": False,
}  # fmt: skip
WEEK = {
    "week_visits": 3, "week_of": ["R", "S"], "week_alike": 3, "week_n": 900, "week_share": 0.01,
    "repeat_identical": True,
}  # fmt: skip
FULL_WEEK_ID = (
    "3 kunjungan pasien ini di faskes ini dengan A-4-14 dalam 7 hari (klaim R, S); hanya 3 dari 900 kunjungan A-4-14 "
    "ada dalam minggu sepadat itu"
)
FULL_WEEK_EN = (
    "3 visits of this patient to this facility with A-4-14 within 7 days (claims R, S); only 3 of 900 visits with "
    "A-4-14 are in a week as full"
)


@pytest.fixture
def reason_of(settings, write_claims, model, tmp_path):
    def reason(odd: dict[str, object]) -> dict[str, str]:
        claims = write_claims(claims_table([odd]))
        candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", AT)
        [row] = [each for each in pq.read_table(candidate.scores).to_pylist() if each["claim_id"] == "special000"]
        [found] = [each for each in json.loads(row["reasons"]) if each["code"] == "repeat"]
        return found

    return reason


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"procedure_count": 0},
            "the same patient was also billed for diagnosis A010, without procedures, for an admission 1 day before "
            "(claim R); only 3 of 700 such claims are repeated within 3 days",
        ),
        (
            {"repeat_elsewhere": True},
            "the same patient was also billed with diagnosis A010 and the same procedures by another facility for an "
            "admission 1 day before (claim R); only 3 of 700 such claims are repeated within 3 days",
        ),
    ],
)
def test_a_repeat_is_told_in_english(reason_of, changes: dict[str, object], text: str) -> None:
    assert reason_of(REPEAT | changes)["text_en"] == text


@pytest.mark.parametrize("excess", [2_000_000, 0])
def test_a_full_week_tells_of_the_very_same_bill_where_it_makes_all_of_it_excess(reason_of, excess: int) -> None:
    reason = reason_of(REPEAT | WEEK | {"excess_amount": excess})
    told = bool(excess)
    same_id = "; tagihan yang sama persis juga ada dengan tanggal masuk 1 hari sebelumnya (klaim R)"
    same_en = "; the very same bill also exists for an admission 1 day before (claim R)"
    assert reason["text_id"] == FULL_WEEK_ID + same_id * told
    assert reason["text_en"] == FULL_WEEK_EN + same_en * told
    assert reason["figures"]["repeat_of"] == ("R" if told else None)
