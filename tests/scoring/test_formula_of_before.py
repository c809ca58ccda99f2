"""RULESET_v1 is the formula of the system before: every flag and rule_score, by pandas from the claims alone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.model.training import train
from ml.rules import load_ruleset
from ml.sample import GeneratorConfig, generate, write
from ml.scoring.score import score_claims
from ml.settings import Settings

PEERS = ["primary_diagnosis", "severity_group", "facility_class", "province_name"]
SAME_CARE = ["patient_key", "primary_diagnosis", "procedure_codes"]
WEIGHTS = {"short_stay_high_cost": 0.8, "severity_mismatch": 0.7, "duplicate_pattern": 0.6, "high_cost_full_paid": 0.5}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("before")
    write(generate(GeneratorConfig(claims=8_000, seed=4)), folder / "raw", "parquet", folder / "labels.parquet")
    settings = Settings(
        _env_file=None, CLAIMS_INSTANCE_DIR=folder / "instance", CLAIMS_RAW_DIR=folder / "raw",
        CLAIMS_PATIENT_KEY_SECRET="a-secret-for-the-tests",
    )  # fmt: skip
    build, _ = start_build(settings, date(2022, 12, 31), "test")
    run_sql_steps(settings, build)
    claims = publish_claims(settings, build)
    model = train(claims.path, claims.data_date)
    now = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), folder / "candidate", now)
    scores = pq.read_table(candidate.scores).to_pandas()[["claim_id", "flags", "rule_score", "risk_score", "ml_score"]]
    return pq.read_table(claims.path).to_pandas().merge(scores, on="claim_id", validate="one_to_one")


def test_every_flag_and_score_is_that_of_the_formula(night: pd.DataFrame) -> None:
    amounts = night.groupby(PEERS)["amount_claimed"]
    assert amounts.transform("size").eq(1).any(), "groups of one are the ones that would be widened"
    dear = night["amount_claimed"] > amounts.transform("quantile", 0.9)
    spread = amounts.transform("std", ddof=0)
    zscore = (night["amount_claimed"] - amounts.transform("mean")) / spread.where(spread > 0)
    by_care = night.sort_values([*SAME_CARE, "admission_date"])
    care = [by_care[name] for name in SAME_CARE]
    days = pd.to_datetime(by_care["admission_date"]).groupby(care).diff().dt.days
    later = days.groupby(care).shift(-1)
    above = 2 + 1e-9  # four alike and one dearer are exactly 2, which is no more than 2 however it is rounded
    holds = {
        "short_stay_high_cost": (night["los"] <= 1) & dear,
        "severity_mismatch": (night["severity_group"] == "ringan") & dear,
        "duplicate_pattern": ((days <= 3) | (later <= 3)).reindex(night.index),
        "high_cost_full_paid": (night["amount_paid"] / night["amount_claimed"] >= 0.95) & (zscore > above),
    }
    for code, expected in holds.items():
        assert expected.sum() > 10, code
        assert night["flags"].map(lambda flags, code=code: code in flags).equals(expected), code
    rule_score = np.max([WEIGHTS[code] * expected for code, expected in holds.items()], axis=0)
    assert (night["rule_score"] == rule_score).all()
    span = night["ml_score"].max() - night["ml_score"].min()
    normalized = (night["ml_score"] - night["ml_score"].min()) / span
    assert night["risk_score"].to_numpy() == pytest.approx(np.maximum(rule_score, normalized).to_numpy())
