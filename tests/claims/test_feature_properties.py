"""Whatever the claims say, as long as they keep the contract: features are finite and depend on nothing but them."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.claims.layout import DIAGNOSIS, FKRTL
from ml.model.artefact import RiskModel
from ml.model.training import train
from ml.rules import load_ruleset
from ml.sample import GeneratorConfig, generate, write
from ml.scoring.by_channels import ScoringRun, write_scores
from ml.settings import Settings
from tests.claims.conftest import DATA_DATE, SECRET, claim, diagnosis, write_as

RULESET = load_ruleset("RULESET_v2")
MOST = 10_000_000_000
"""Rupiah: more is absurd to the contract."""
amounts = st.sampled_from([0, 1, 190_000, 2_500_000, 2_500_001, 400_000_000, MOST]) | st.integers(0, MOST)
codes = ["A-4-14-I", "A-4-14-II", "A-4-14-III", "Q-5-44-0", "Z-9-99-III"]
# Few different values, so that claims meet: as peers, of one patient, as clones.
rows = st.builds(
    dict,
    facility=st.sampled_from(["81870922V", "99870922V", "no-sep-"]),
    FKL03=st.dates(date(2022, 8, 20), date(2022, 9, 20)),
    los=st.sampled_from([0, 0, 1, 3, 30, 731]),
    FKL05=st.sampled_from(["33", "11", ""]),
    FKL09=st.sampled_from(["7", "1", ""]),
    FKL10=st.sampled_from(["1", "2"]),
    FKL13=st.sampled_from(["3", "1", ""]),
    FKL14=st.sampled_from(["1", "4", ""]),
    FKL16=st.sampled_from(["A010", "J189", ""]),
    FKL18=st.sampled_from(["A010", "N185"]),
    FKL19=st.sampled_from(codes),
    FKL30=st.sampled_from(["", "9394 - Nebulizer", "3995 - Haemodialysis; 9394 - Nebulizer"]),
    FKL31=st.sampled_from(["1", "5", ""]),
    FKL32=amounts,
    FKL44=st.sampled_from(["NONE", "DD-05-II"]),
    FKL46=amounts,
    FKL47=amounts,
    FKL48=amounts,
    PSTV01=st.sampled_from(["1", "2", "3"]),
    secondary=st.lists(st.sampled_from(["J189", "E119", "I10"]), max_size=3),
)
files = st.lists(rows, min_size=1, max_size=40) | st.builds(lambda row, times: [row] * times, rows, st.integers(1, 40))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RiskModel:
    folder = tmp_path_factory.mktemp("model")
    write(generate(GeneratorConfig(claims=3_000, seed=6)), folder / "raw", "parquet", folder / "labels.parquet")
    return train(normalized(folder), DATA_DATE)


def normalized(folder: Path) -> Path:
    """The claims_normalized of a folder's raw files."""
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=folder, CLAIMS_PATIENT_KEY_SECRET=SECRET)
    build, report = start_build(settings, DATA_DATE, "test")
    assert report.visits.quarantined == 0, report.lines()
    run_sql_steps(settings, build)
    return publish_claims(settings, build).path


def claims_and_scores(rows: list[dict[str, Any]], order: list[int], model: RiskModel) -> tuple[pa.Table, pa.Table]:
    """The claims of some rows, written in some order, and their scores."""
    visits = []
    diagnoses = [diagnosis(0) | {"FKL02": f"{rows[0]['facility']}000000"}]  # a file of none is refused
    for number in order:
        row = rows[number]
        claim_id = f"{row['facility']}{number:06d}"
        fields = {name: str(value) for name, value in row.items() if name.isupper()}
        discharge = str(row["FKL03"] + timedelta(days=row["los"]))
        visits.append(claim(number, **fields, FKL02=claim_id, FKL04=min(discharge, str(DATA_DATE))))
        diagnoses += [diagnosis(number, code) | {"FKL02": claim_id} for code in row["secondary"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").mkdir()
        write_as(folder / "raw" / "a_fkrtl.csv", visits, FKRTL)
        write_as(folder / "raw" / "a_diagnosissekunder.csv", diagnoses, DIAGNOSIS)
        path = normalized(folder)
        run = ScoringRun(model, RULESET, DATA_DATE, datetime(2022, 12, 31, 19, 0, tzinfo=UTC))
        write_scores(path, run, folder / "scores.parquet", threads=1)
        return pq.read_table(path), pq.read_table(folder / "scores.parquet")


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(files, st.randoms(use_true_random=False))
def test_features_and_scores_are_finite_and_do_not_depend_on_the_order(model, rows, random) -> None:
    order = list(range(len(rows)))
    claims, scores = claims_and_scores(rows, order, model)
    assert claims.num_rows == scores.num_rows == len(rows)
    for name in claims.column_names:
        if pa.types.is_floating(claims.schema.field(name).type):
            values = claims.column(name).drop_null().to_numpy()
            assert np.isfinite(values).all(), name
            if name.startswith("evidence_"):
                assert len(values) == len(rows), name
                assert (values >= 0).all(), name
            if "share" in name:
                assert ((values > 0) & (values <= 1)).all(), name
    excesses = claims.select(["excess_amount", "amount_claimed"]).to_pylist()
    assert all(0 <= row["excess_amount"] <= row["amount_claimed"] for row in excesses)
    for name in ("risk_score", "rule_score", "ml_score", "ml_score_normalized"):
        values = scores.column(name).to_numpy()
        assert ((values >= 0) & (values <= 1)).all(), name
    random.shuffle(order)
    again = claims_and_scores(rows, order, model)
    assert again[0].equals(claims)
    assert again[1].equals(scores)
