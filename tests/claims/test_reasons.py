"""Each fraud type leads with its own reason, word for word, on hand-made claims."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.model.training import train
from ml.rules import load_ruleset
from ml.scoring.score import score_claims
from ml.settings import Settings
from tests.claims.conftest import (
    DATA_DATE,
    Rows,
    claim_id,
    crowd,
    diagnosis,
)
from tests.claims.golden_reasons import GOLDEN, named_with

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
RULESET = load_ruleset("RULESET_v2")


def scored(settings: Settings) -> pd.DataFrame:
    """Run the ETL, train, score; one row a claim, with its figures and its scores, riskiest first."""
    build, _ = start_build(settings, DATA_DATE, "test")
    run_sql_steps(settings, build)
    claims = publish_claims(settings, build)
    model = train(claims.path, claims.data_date)
    candidate = score_claims(settings, claims, model, RULESET, settings.work / "candidate", NOW)
    scores = pq.read_table(candidate.scores).drop_columns(["excess_amount", "data_date"]).to_pandas()
    scores["reasons"] = scores["reasons"].map(json.loads)
    both = pq.read_table(claims.path).to_pandas().merge(scores, on="claim_id", validate="one_to_one")
    return both.sort_values(["risk_score", "claim_id"], ascending=[False, True]).set_index("claim_id", drop=False)


@pytest.fixture
def judged(raw_files: Callable[..., Path], make_settings: Callable[..., Settings]) -> Callable[[Rows], pd.DataFrame]:
    def run(visits: Rows) -> pd.DataFrame:
        raw_files(visits, [diagnosis(0)])
        return scored(make_settings())

    return run


@pytest.mark.parametrize("fraud", GOLDEN)
def test_each_fraud_type_leads_with_its_own_reason(judged: Callable[[Rows], pd.DataFrame], fraud: str) -> None:
    visits, numbers, code, text_id, text_en = GOLDEN[fraud]
    claims = judged([*crowd(600), *visits])
    assert set(claims.index[: len(numbers)]) == {claim_id(number) for number in numbers}, "the riskiest of all"
    for number in numbers:
        row = claims.loc[claim_id(number)]
        assert row["flags"][0] == code
        assert row["reasons"][0]["code"] == code
        named = named_with(number, numbers, visits)
        assert row["reasons"][0]["text_id"] == text_id.format(**named)
        assert row["reasons"][0]["text_en"] == text_en.format(**named)


def test_claims_whose_id_names_no_facility_speak_of_a_group(judged: Callable[[Rows], pd.DataFrame]) -> None:
    visits, *_ = GOLDEN["cloned claims"]
    claims = judged([*crowd(600), *(visit | {"FKL02": f"ABC{n}"} for n, visit in enumerate(visits))])
    row = claims.loc["ABC0"]
    reason = row["reasons"][0]
    assert "3 pasien lain di kelompok faskes ini ditagih persis sama" in reason["text_id"]
    assert "; di kelompok faskes ini 4 klaim kembar" in reason["text_id"]
    assert "3 other patients at this facility group were billed exactly the same" in reason["text_en"]
    assert "; at this facility group 4 clones" in reason["text_en"]
