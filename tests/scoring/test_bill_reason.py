"""What the reason of a high bill says where each facility bills a factor of its own times the tariff."""

from __future__ import annotations

import json
import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from ml.rules import load_ruleset
from ml.scoring.score import score_claims
from tests.scoring.conftest import claims_table

AT = datetime(2023, 1, 1, 2, tzinfo=ZoneInfo("Asia/Jakarta"))


@pytest.mark.parametrize(
    ("factor", "told_id", "told_en"),
    [
        (1.0, "(Rp2.500.000)", "(Rp2,500,000)"),
        (
            1.3,
            "(Rp2.500.000; tagihan faskes ini biasanya 1,3x tarifnya)",
            "(Rp2,500,000; this facility usually bills 1.3x its tariff)",
        ),
        (
            1.05,
            "(Rp2.500.000; tagihan faskes ini biasanya 5,0% di atas tarifnya)",
            "(Rp2,500,000; this facility usually bills 5.0% above its tariff)",
        ),
    ],
)
def test_the_facilitys_factor_is_told_beside_its_tariff(
    settings, write_claims, model, tmp_path, factor: float, told_id: str, told_en: str
) -> None:
    odd = {
        "evidence_inflated_bill": 9.0, "amount_claimed": 5_000_000, "inacbg_tariff": 2_500_000,
        "tariff_ln_ratio": math.log(2), "own_tariff_ln_ratio": math.log(factor), "price_median": 2_500_000.0,
        "price_level": 4,
    }  # fmt: skip
    claims = write_claims(claims_table([odd]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", AT)
    [row] = [each for each in pq.read_table(candidate.scores).to_pylist() if each["claim_id"] == "special000"]
    [reason] = [each for each in json.loads(row["reasons"]) if each["code"] == "inflated_bill"]
    assert f"= 2,0x tarif INA-CBG-nya sendiri {told_id}" in reason["text_id"]
    assert f"= 2.0x its own INA-CBG tariff {told_en}" in reason["text_en"]
    assert reason["figures"]["own_factor"] == pytest.approx(factor)


def test_a_tariff_of_its_own_or_of_a_time_is_told_beside_the_peers(settings, write_claims, model, tmp_path) -> None:
    odd = {
        "evidence_inflated_bill": 9.0, "amount_claimed": 5_000_000, "inacbg_tariff": 3_500_000, "price_level": 1,
        "tariff_ln_ratio": math.log(5 / 3.5), "price_median": 2_500_000.0, "price_n": 40, "own_ln_ratio": math.log(1.4),
    }  # fmt: skip
    claims = write_claims(claims_table([odd]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", AT)
    [row] = [each for each in pq.read_table(candidate.scores).to_pylist() if each["claim_id"] == "special000"]
    [reason] = [each for each in json.loads(row["reasons"]) if each["code"] == "inflated_bill"]
    assert "; tarif faskes ini biasanya, atau sekitar bulan itu, 1,4x median" in reason["text_id"]
    assert "; this facility's tariff is usually, or about that month, 1.4x it" in reason["text_en"]
