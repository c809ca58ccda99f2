"""The forest's reasons: which claims get one, what it names, and that it is true of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.model.artefact import RiskModel
from ml.model.training import train
from ml.scoring import score as scoring
from ml.scoring.explain import NAMED_SHARE, _words, ml_reasons
from tests.scoring.conftest import DATA_DATE, DULL, claims_table
from tests.scoring.test_score import FLAG_CASES, score

ODD = {"los": 120, "comorbidity_count": 9}


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> RiskModel:
    """A model of 300 claims with three classes and three provinces, the last of each in 2% of the claims."""
    table = claims_table([], dull=300)
    classes = np.repeat(["RS Kelas C", "RS Kelas B", "RS Kelas A"], [174, 120, 6])
    provinces = np.repeat(["Jawa Tengah", "Jawa Barat", "Papua"], [180, 114, 6])
    for name, values in (("facility_class", classes), ("province_name", np.roll(provinces, 50))):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    path = tmp_path_factory.mktemp("placed") / "claims.parquet"
    pq.write_table(table, path)
    return train(path, DATA_DATE)


def ml_score(model: RiskModel, **changes: Any) -> float:
    return float(model.forest.ml_score(model.features.matrix(claims_table([changes], dull=0)))[0])


def explain(model: RiskModel, *special: dict[str, Any], threads: int = 1) -> list[dict[str, Any]]:
    table = claims_table(list(special), dull=0)
    found = model.forest.ml_score(model.features.matrix(table))
    table = table.append_column("ml_score", pa.array(found)).append_column("ml_score_normalized", pa.array(found + 0.5))
    rows = ml_reasons(table, model, threads=threads).to_pylist()
    return [row | {"figures": json.loads(row["figures"])} for row in rows]


@pytest.mark.parametrize(
    ("place", "text_id", "text_en"),
    [
        (
            {"facility_class": "RS Kelas A"},
            "kelas RS Kelas A jarang (2,0% klaim)",
            "facility class RS Kelas A is rare (2.0% of claims)",
        ),
        ({"province_name": "Papua"}, "provinsi Papua jarang (2,0% klaim)", "province Papua is rare (2.0% of claims)"),
        (
            {"facility_class": "RS Kelas A", "province_name": "Papua"},
            "kelas RS Kelas A jarang (2,0% klaim), provinsi Papua jarang (2,0% klaim)",
            "facility class RS Kelas A is rare (2.0% of claims), province Papua is rare (2.0% of claims)",
        ),
        (
            {"facility_class": "RS Kelas A", "province_name": "Jawa Barat"},
            "kelas RS Kelas A jarang (2,0% klaim)",
            "facility class RS Kelas A is rare (2.0% of claims)",
        ),
    ],
)
def test_a_rare_place_is_named_with_its_share(placed, place, text_id, text_en) -> None:
    (reason,) = explain(placed, place)
    assert reason["text_id"].partition(": ")[2] == text_id
    assert reason["text_en"].partition(": ")[2] == text_en


def test_the_drop_of_a_place_is_that_to_the_commonest_and_leaves_what_is_common(placed) -> None:
    place = {"facility_class": "RS Kelas A", "province_name": "Jawa Barat"}
    (reason,) = explain(placed, place)
    expected = ml_score(placed, **place) - ml_score(placed, facility_class="RS Kelas C", province_name="Jawa Barat")
    assert expected > 0
    assert reason["figures"]["drop_place"] == pytest.approx(expected, abs=1e-6)


def test_a_place_that_training_never_saw_is_called_that(placed) -> None:
    # Without a one-hot column of its own it may not look odd to the forest at all: then the place is no reason.
    reasons = explain(placed, {"facility_class": "RS Khusus Mata"}, {"province_name": "Maluku"})
    named = [reason for reason in reasons if reason["figures"]["drop_place"] > 0]
    assert named
    for reason in named:
        assert " belum pernah ada saat model dilatih" in reason["text_id"]
        assert " not seen in training" in reason["text_en"]


def test_a_common_place_is_no_reason(placed) -> None:
    common = [
        {**ODD, "facility_class": hospital, "province_name": province}
        for hospital in ("RS Kelas C", "RS Kelas B")
        for province in ("Jawa Tengah", "Jawa Barat")
    ]
    for reason in explain(placed, *common):
        assert "drop_place" not in reason["figures"]
        assert "kelas" not in reason["text_id"]
        assert "provinsi" not in reason["text_id"]


def test_a_second_group_is_named_only_with_its_share_of_the_first(placed) -> None:
    claims = [
        {"los": los, "comorbidity_count": count, "amount_claimed": amount}
        for los in (3, 6, 9, 120)
        for count in (1, 2, 9)
        for amount in (1_900_000, 2_000_000, 2_300_000)
    ]
    too_small = 0
    for reason in explain(placed, *claims):
        first, second, *_ = sorted(reason["figures"].values(), reverse=True)
        too_small += 0 < second < NAMED_SHARE * first
        assert reason["text_en"].count("; ") == (second > 0 and second >= NAMED_SHARE * first)
    assert too_small > 0, "no claim of this test has a second group that is too small"


def test_without_any_drop_the_reason_is_the_combination(placed) -> None:
    ordinary = {"los": round(placed.medians["RITL"]["los"]), "facility_class": "RS Kelas B"}
    (reason,) = explain(placed, ordinary)
    assert max(reason["figures"].values()) <= 0
    assert reason["text_id"] == "yang paling menaikkan skor model: kombinasi beberapa besaran"
    assert reason["text_en"] == "what raises the model's score most: a combination of several figures"


def test_only_what_is_beyond_the_forests_offset_is_called_unusual(placed) -> None:
    far = {"los": 120, "facility_class": "RS Kelas A", "province_name": "Papua"}
    assert ml_score(placed, **far) > 0 > ml_score(placed, los=6)
    odd, dull = explain(placed, far, {"los": 6})
    assert odd["text_en"].startswith("the model finds it unusual: ")
    assert dull["text_en"].startswith("what raises the model's score most: LOS 6 days")


@pytest.mark.parametrize(
    ("number", "los", "comorbidity"),
    [(1, "LOS 1 day (", "1 secondary diagnosis ("), (0, "LOS 0 days (", "0 secondary diagnoses (")],
)
def test_one_is_singular(placed, number: int, los: str, comorbidity: str) -> None:
    row = DULL | {"los": number, "comorbidity_count": number}
    for group, words in (("los", los), ("comorbidity", comorbidity)):
        assert _words(group, row, placed)[1].startswith(words)


def test_reasons_do_not_depend_on_batches_or_threads(placed, monkeypatch) -> None:
    claims = [DULL | {"los": number} for number in range(40)]
    whole = explain(placed, *claims)
    monkeypatch.setattr("ml.scoring.explain.BATCH_ROWS", 7)
    assert explain(placed, *claims, threads=3) == whole
    assert ml_reasons(claims_table([], dull=0), placed).num_rows == 0


@pytest.mark.parametrize("riskiest", [1, 8, 10_000])
def test_who_gets_the_forests_reason(settings, write_claims, model, tmp_path: Path, monkeypatch, riskiest) -> None:
    monkeypatch.setattr(scoring, "EXPLAINED_RISKIEST", riskiest)
    special = [*FLAG_CASES.values(), ODD, {"los": 60}, {"los": 30}, {"los": 25}]
    rows = score(settings, write_claims(claims_table(special)), model, tmp_path)
    explained = {
        row["claim_id"] for row in rows if "ml_anomaly" in [reason["code"] for reason in json.loads(row["reasons"])]
    }
    above = {row["claim_id"] for row in rows if row["ml_score_normalized"] > 0.5}
    bound = sorted((row["risk_score"] for row in rows), reverse=True)[:riskiest][-1]
    deciding = {
        row["claim_id"]
        for row in rows
        if row["risk_score"] >= bound and row["ml_score_normalized"] >= row["rule_score"] and row["risk_score"] > 0
    }
    assert explained == above | deciding
    assert all(json.loads(row["reasons"]) for row in rows if row["risk_score"] > 0.5)
    if riskiest == 1:
        assert deciding < above < {row["claim_id"] for row in rows}, "the case must tell the two conditions apart"
    if riskiest == 10_000:
        assert above < explained < {row["claim_id"] for row in rows}
