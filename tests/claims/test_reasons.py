"""A claim's reasons are the right ones, and true: their numbers, computed anew from the claims by other code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from tests.claims.conftest import DATA_DATE, claim, diagnosis
from tests.claims.test_evidence import FACILITIES, claim_id, crowd

Rows = list[dict[str, str]]
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


def stay(number: int, **changes: str) -> dict[str, str]:
    return claim(number, **{"FKL30": f"{9000 + number} - something of its own"} | changes)


def heavy(number: int) -> dict[str, str]:
    return stay(number, FKL02=claim_id(number, FACILITIES[number % 4]), FKL19="A-4-14-III", FKL04="2022-09-11")


GOLDEN: dict[str, tuple[Rows, list[int], str, str]] = {
    "inflated bill": (
        [stay(900, FKL47="4000000")],
        [900],
        "inflated_bill",
        "tagihan Rp4.000.000 = 1,6x median 601 klaim sejenis (A-4-14-I, RS Swasta Setara Type C, kelas rawat 3, "
        "regional 1), 1,6x tarif INA-CBG-nya sendiri (Rp2.500.000)",
    ),
    "phantom billing": (
        [stay(900, FKL03="2022-09-04")],
        [900],
        "short_stay",
        "LOS 0 hari, ditagih penuh Rp2.500.000: hanya <0,1% dari 601 rawat inap sejenis (A-4-14-I) sesingkat ini",
    ),
    "unnecessary top-up": (
        [stay(900, FKL44="DD-05-II", FKL46="1000000", FKL47="3500000")],
        [900],
        "topup",
        "top-up DD-05-II sebesar Rp1.000.000: hanya <0,1% klaim A-4-14 memilikinya",
    ),
    "upcoding": (
        [*(heavy(n) for n in range(700, 740)), stay(900, FKL19="A-4-14-III", FKL04="2022-09-03")],
        [900],
        "upcoding",
        "keparahan berat padahal LOS 2 hari dengan 0 diagnosis sekunder: dari rawat inap A-4-14 seperti itu hanya "
        "<0,1% yang wajar setinggi ini",
    ),
    "repeat billing": (
        [
            stay(900, PSTV01="7", FKL30="9301 - something", FKL04="2022-09-09"),
            stay(901, PSTV01="7", FKL30="9301 - something", FKL03="2022-09-03", FKL04="2022-09-09"),
        ],
        [901],
        "repeat",
        "tagihan yang sama persis (pasien, faskes, INA-CBG, diagnosis A010 dan diagnosis sekunder, tindakan, nilai) "
        "sudah diajukan 2 hari sebelumnya; biasanya hanya 16,7% klaim begini",
    ),
    "repeat billing, at another price": (
        [
            stay(900, PSTV01="7", FKL30="9301 - something", FKL04="2022-09-09"),
            stay(901, PSTV01="7", FKL30="9301 - something", FKL03="2022-09-03", FKL04="2022-09-09", FKL47="2499900"),
        ],
        [901],
        "repeat",
        "pasien, diagnosis A010 dan tindakan yang sama sudah ditagih 2 hari sebelumnya; biasanya hanya 16,7% klaim "
        "begini",
    ),
    "fragmentation": (
        [
            stay(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-04"),
            stay(901, PSTV01="7", FKL03="2022-09-05", FKL04="2022-09-08"),
        ],
        [900, 901],
        "fragmentation",
        "rawat inap lain pasien yang sama di faskes ini dengan A-4-14 berselisih 1 hari; biasanya hanya 0,3% begini",
    ),
    "cloned claims": (
        [claim(n, FKL30="1234 - the same", FKL03="2022-09-10", FKL04="2022-09-13") for n in range(900, 904)],
        [900, 901, 902, 903],
        "clone",
        "3 pasien lain di faskes ini ditagih persis sama (A-4-14-I, diagnosis, tindakan, Rp2.500.000) dalam 30 hari; "
        "wajarnya 0,029",
    ),
}


@pytest.mark.parametrize("fraud", GOLDEN)
def test_each_fraud_type_leads_with_its_own_reason(judged: Callable[[Rows], pd.DataFrame], fraud: str) -> None:
    visits, numbers, code, sentence = GOLDEN[fraud]
    claims = judged([*crowd(600), *visits])
    assert set(claims.index[: len(numbers)]) == {claim_id(number) for number in numbers}, "the riskiest of all"
    for number in numbers:
        row = claims.loc[claim_id(number)]
        assert row["flags"][0] == code
        assert row["reasons"][0]["code"] == code
        assert row["reasons"][0]["text_id"] == sentence


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A generated year, scored."""
    folder = tmp_path_factory.mktemp("night")
    write(generate(GeneratorConfig(claims=20_000, seed=5)), folder / "raw", "parquet", folder / "labels.parquet")
    return scored(
        Settings(
            _env_file=None, CLAIMS_INSTANCE_DIR=folder / "instance", CLAIMS_RAW_DIR=folder / "raw",
            CLAIMS_PATIENT_KEY_SECRET="a-secret-for-the-tests",
        )
    )  # fmt: skip


def with_reason(night: pd.DataFrame, code: str, most: int = 150) -> list[tuple[pd.Series, dict[str, Any]]]:
    """The riskiest claims that give this reason, and its figures."""
    found = [
        (row, reason["figures"])
        for _, row in night[night["reasons"].map(bool)].iterrows()
        for reason in row["reasons"]
        if reason["code"] == code
    ]
    assert found, code
    return found[:most]


def base(inacbg: str) -> str:
    return inacbg.rsplit("-", 1)[0]


def test_whoever_is_risky_has_reasons_and_whoever_is_not_has_none(night: pd.DataFrame) -> None:
    risky = night["risk_score"] >= RULESET.thresholds["reasons_from_risk"]
    assert 100 < risky.sum() < 0.2 * len(night)
    assert (night["reasons"].map(len).between(1, 3) == risky).all()
    for reasons in night.loc[risky, "reasons"]:
        assert all(reason["text_id"] and reason["text_en"] and reason["figures"] for reason in reasons)
        texts = [reason[f"text_{language}"] for reason in reasons for language in ("id", "en")]
        assert not any(word in text for text in texts for word in ("NULL", "None", "nan", "{"))


def test_the_bill_and_the_median_of_its_peers(night: pd.DataFrame) -> None:
    price = night["amount_claimed"] - night["topup_amount"]
    for row, figures in with_reason(night, "inflated_bill"):
        assert figures["price"] == row["amount_claimed"] - row["topup_amount"]
        if figures["price_level"] == 1:
            names = ["inacbg_code", "facility_class", "ward_class", "tariff_region"]
            peers = price[(night[names] == row[names]).all(axis=1)]
            assert figures["price_n"] == len(peers)
            # The median of logarithms is the geometric mean of the two middle prices, if there are two.
            middle = sorted(peers)[(len(peers) - 1) // 2 : len(peers) // 2 + 1]
            assert figures["price_median"] == pytest.approx(math.sqrt(middle[0] * middle[-1]))


def test_stays_as_short_and_top_ups_as_rare_as_said(night: pd.DataFrame) -> None:
    stays = night[night["service_type"] == "RITL"]
    for row, figures in with_reason(night, "short_stay"):
        alike = stays[stays["inacbg_code"] == row["inacbg_code"]]
        if figures["stay_level"] == 2:
            shorter, as_long = (alike["los"] < row["los"]).sum(), (alike["los"] == row["los"]).sum()
            assert figures["los_share_low"] == pytest.approx((shorter + as_long / 2) / len(alike))
            assert figures["stay_n"] == len(alike)
    bases = night["inacbg_code"].map(base)
    for row, figures in with_reason(night, "topup"):
        alike = night[bases == base(row["inacbg_code"])]
        same = (alike["topup_codes"] == row["topup_codes"]).sum()
        assert figures["topup_share"] == pytest.approx((same - 0.5) / len(alike))


def test_severity_as_unlikely_as_said(night: pd.DataFrame) -> None:
    """P(severity or more | INA-CBG, at most as many secondary diagnoses, LOS), step by step as features.md has it."""
    stays = night[(night["service_type"] == "RITL") & night["severity_level"].between(1, 3)].copy()
    stays["base"], stays["ln_los"] = stays["inacbg_code"].map(base), np.log(stays["los"] + 0.5)
    of_base = stays.groupby("base")["ln_los"].median()
    of_level = stays.groupby(["base", "severity_level"])["ln_los"].agg(["median", "size"])
    step = (stays["ln_los"] - stays["base"].map(of_base)).groupby(stays["severity_level"]).median()
    rest = stays["ln_los"] - stays.groupby(["base", "severity_level"])["ln_los"].transform("median")
    spread = rest.groupby(stays["severity_level"]).agg(lambda part: 1.4826 * (part - part.median()).abs().median())

    def likelihood(row: pd.Series, level: int) -> float:
        middle, count = of_level.loc[(row["base"], level)] if (row["base"], level) in of_level.index else (0.0, 0)
        usual = (count * middle + 10 * (of_base[row["base"]] + step[level])) / (count + 10)
        wide = max(spread[level], 0.3)
        return math.exp(-(((row["ln_los"] - usual) / wide) ** 2) / 2) / wide + 0.001

    checked = 0
    for row, figures in with_reason(night, "upcoding"):
        if "severity_share" not in figures:
            continue
        up_to = stays[stays["comorbidity_count"] <= row["comorbidity_count"]]
        own, weight = stays.loc[row.name], {}
        for level in (1, 2, 3):
            left_out = int(level == row["severity_level"])
            alike = ((up_to["base"] == own["base"]) & (up_to["severity_level"] == level)).sum() - left_out
            anywhere = max((up_to["severity_level"] == level).sum() - left_out, 0.5 * left_out)
            weight[level] = (alike + 20 * anywhere / len(up_to)) * likelihood(own, level)
        share = sum(weight[level] for level in weight if level >= row["severity_level"]) / sum(weight.values())
        assert figures["severity_share"] == pytest.approx(share)
        checked += 1
    assert checked > 20


def test_the_other_claims_of_the_patient(night: pd.DataFrame) -> None:
    by_patient = dict(tuple(night.groupby("patient_key")))
    for row, figures in with_reason(night, "repeat"):
        own = by_patient[row["patient_key"]]
        same = own[
            (own["primary_diagnosis"] == row["primary_diagnosis"]) & (own["procedure_codes"] == row["procedure_codes"])
        ]
        same = same.reset_index(drop=True).sort_values(["admission_date", "claim_id"])
        before = same.shift()[same["claim_id"] == row["claim_id"]]
        assert figures["repeat_after_days"] == (row["admission_date"] - before["admission_date"].iloc[0]).days
        alike = ["facility_key", "inacbg_code", "comorbidity_count", "amount_claimed"]
        if figures["repeat_identical"]:
            assert (before[alike] == row[alike]).all(axis=1).any()
        else:
            care = night[
                (night["primary_diagnosis"] == row["primary_diagnosis"])
                & (night["procedure_codes"] == row["procedure_codes"])
            ]
            repeated = (care["repeat_after_days"] <= 3).sum()
            assert figures["repeat_share"] == pytest.approx((repeated - 0.5) / len(care))
    for row, figures in with_reason(night, "fragmentation"):
        own = by_patient[row["patient_key"]]
        same = own[
            (own["facility_key"] == row["facility_key"])
            & (own["inacbg_code"].map(base) == base(row["inacbg_code"]))
            & (own["service_type"] == "RITL")
            & (own["claim_id"] != row["claim_id"])
        ]
        gaps = [(row["admission_date"] - day).days for day in same["discharge_date"]]
        gaps += [(day - row["discharge_date"]).days for day in same["admission_date"]]
        assert figures["fragment_gap_days"] == min(gap for gap in gaps if gap >= 0)


def test_as_many_clones_as_said(night: pd.DataFrame) -> None:
    for row, figures in with_reason(night, "clone"):
        same = night[
            (night["facility_key"] == row["facility_key"])
            & (night["inacbg_code"] == row["inacbg_code"])
            & (night["primary_diagnosis"] == row["primary_diagnosis"])
            & (night["procedure_codes"] == row["procedure_codes"])
            & (night["comorbidity_count"] == row["comorbidity_count"])
            & (night["amount_claimed"] == row["amount_claimed"])
            & (night["patient_key"] != row["patient_key"])
        ]
        near = same[(same["admission_date"] - row["admission_date"]).map(lambda gap: abs(gap.days) <= 30)]
        assert figures["clone_count"] <= near["patient_key"].nunique(), "the secondary diagnoses themselves count, too"
        assert figures["amount_claimed"] == row["amount_claimed"]


def test_the_providers_figures(night: pd.DataFrame) -> None:
    claims = night.groupby("facility_key").size()
    scores = night["provider"].map(lambda provider: provider["risk_score"]).groupby(night["facility_key"]).first()
    for row, figures in with_reason(night, "provider"):
        assert figures["claims"] == claims[row["facility_key"]]
        assert figures["rank"] == (scores > scores[row["facility_key"]]).sum() + 1
        if figures["pattern"] == "severity":
            own = night[(night["facility_key"] == row["facility_key"]) & night["severity_level"].notna()]
            assert figures["observed"] == (own["severity_level"] - 1).clip(lower=0).sum()


def test_what_makes_a_claim_odd_is_named_with_its_figure(night: pd.DataFrame) -> None:
    """The named figure is the one without which the forest's score drops most (the drops are in the fields)."""
    words = {
        "long_stay": lambda row: f"LOS {row['los']} days, ",
        "short_stay": lambda row: f"LOS {row['los']} days, ",
        "comorbidity": lambda row: f"{row['comorbidity_count']} secondary diagnoses, ",
        "procedures": lambda row: f"{row['procedure_count']} procedures, ",
        "price": lambda row: f"billed {math.exp(row['price_ln_ratio']):.1f}x the median",
    }
    seen = set()
    for row, figures in with_reason(night, "anomaly", most=400):
        (reason,) = [reason for reason in row["reasons"] if reason["code"] == "anomaly"]
        assert figures["first_drop"] >= (figures["second_drop"] or 0)
        if figures["first"] in words:
            seen.add(figures["first"])
            assert words[figures["first"]](row) in reason["text_en"]
    assert len(seen) >= 3


def test_every_sentence_states_its_figures(night: pd.DataFrame) -> None:
    """What a person reads is what the fields say, in both languages."""
    for row, figures in with_reason(night, "clone"):
        (reason,) = [reason for reason in row["reasons"] if reason["code"] == "clone"]
        assert reason["text_id"].startswith(f"{figures['clone_count']} pasien lain")
        assert reason["text_en"].startswith(f"{figures['clone_count']} other patients")
        assert f"Rp{row['amount_claimed']:,}" in reason["text_en"]
        assert f"Rp{row['amount_claimed']:,}".replace(",", ".") in reason["text_id"]
