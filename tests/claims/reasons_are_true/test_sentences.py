"""Who has reasons, which are told, and in which words."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from tests.claims.reasons_are_true.figures import (
    with_reason,
)
from tests.claims.test_reasons import RULESET


def test_whoever_is_risky_has_reasons_and_whoever_is_not_has_none(night: pd.DataFrame) -> None:
    risky = night["risk_score"] >= RULESET.thresholds["reasons_from_risk"]
    assert 100 < risky.sum() < 0.2 * len(night)
    assert (night["reasons"].map(len).between(1, 3) == risky).all()
    for reasons in night.loc[risky, "reasons"]:
        assert all(reason["text_id"] and reason["text_en"] and reason["figures"] for reason in reasons)
        texts = [reason[f"text_{language}"] for reason in reasons for language in ("id", "en")]
        assert not any(word in text for text in texts for word in ("NULL", "None", "nan", "{"))


def test_a_flag_has_its_reason(night: pd.DataFrame) -> None:
    """Who filters by a flag looks for it; only three other reasons stand before it."""
    flagged = night[night["reasons"].map(bool) & night["flags"].map(len).gt(0)]
    assert len(flagged) > 50
    for _, row in flagged.iterrows():
        told = [reason["code"] for reason in row["reasons"]]
        assert set(row["flags"]) <= set(told) or len(told) == 3


def test_what_is_usual_is_told_only_where_it_is_flagged_or_the_strongest(night: pd.DataFrame) -> None:
    usual = {
        "short_stay": lambda row, figures: (
            row["los_share_low"] > 0.1 and not (row["empty_weight"] > 0 and row["empty_alike"] <= 0.1 * row["empty_n"])
        ),
        "topup": lambda row, figures: figures["topup_alike"] > 0.1 * figures["topup_n"],
        "repeat": lambda row, figures: "repeat_n" in figures and row["repeat_share"] > 0.1,
        "fragmentation": lambda row, figures: row["fragment_share"] > 0.1,
        "upcoding": lambda row, figures: (
            figures.get("severity_share", 0) > 0.1
            or figures.get("admission_alike", 0) > 0.1 * figures.get("admissions", 0)
        ),
        "inflated_bill": lambda row, figures: (
            figures["amount_claimed"] < 1.1 * (figures["price_median"] + row["topup_amount"])
            and row["amount_claimed"] <= 1.01 * (figures["inacbg_tariff"] + figures["topup_amount"])
        ),
    }
    leading = 0
    for _, row in night[night["reasons"].map(bool)].iterrows():
        for place, reason in enumerate(row["reasons"]):
            if reason["code"] in usual and usual[reason["code"]](row, reason["figures"]):
                assert place == 0 or reason["code"] in row["flags"]
                assert not any(word in reason["text_en"] + reason["text_id"] for word in ("only", "hanya"))
                leading += 1
    assert leading > 5


def test_what_makes_a_claim_odd_is_named_with_its_figure(night: pd.DataFrame) -> None:
    """The named figure is the one without which the forest's score drops most (the drops are in the fields), unless a
    typology's reason tells it, and unless one in ten of the peers have it."""
    words = {
        "long_stay": lambda row: f"LOS {row['los']} day",
        "short_stay": lambda row: f"LOS {row['los']} day",
        "comorbidity": lambda row: f"{row['comorbidity_count']} secondary diagnos",
        "procedures": lambda row: f"{row['procedure_count']} procedure",
        "price": lambda row: f"billed {math.exp(row['price_ln_ratio']):.1f}x the median",
    }
    figure = {
        "long_stay": lambda row: row["los_share_low"],
        "short_stay": lambda row: row["los_share_low"],
        "comorbidity": lambda row: 1 - row["comorbidity_share"],
        "procedures": lambda row: 1 - row["procedure_share"],
        "price": lambda row: math.exp(row["price_ln_ratio"]),
        "tariff": lambda row: math.exp(row["tariff_ln_ratio"]),
        "day_price": lambda row: math.exp(row["day_price_ln_ratio"]),
        "severity": lambda row: row["severity_share"],
        "admission": lambda row: row["admission_share"],
        "topup": lambda row: row["topup_share"],
        "readmission": lambda row: row["readmission_share"],
    }
    seen = set()
    for row, figures in with_reason(night, "anomaly", most=5_000):
        (reason,) = [reason for reason in row["reasons"] if reason["code"] == "anomaly"]
        assert (figures["first_drop"] or 1) >= (figures["second_drop"] or 0)
        names = {figures["first"], figures["second"]} - {None}
        channels = row["channels"]
        if channels["upcoding"] >= 2 and row["upcoding_by"] == "severity" and row["severity_share"] <= 0.1:
            assert not names & {"severity", *({"short_stay", "long_stay"} if row["usual_exit"] else ())}
        assert channels["inflated_bill"] < 2 or row["tariff_ln_ratio"] <= 0.01 or "tariff" not in names
        assert channels["inflated_bill"] < 2 or "long_stay" not in names
        for place in ("first", "second"):
            if (name := figures[place]) is None:
                assert figures[f"{place}_figure"] is None
                continue
            seen.add(name)
            assert figures[f"{place}_figure"] == pytest.approx(figure[name](row))
            if name in {"price", "tariff", "day_price"}:
                assert abs(math.log(figures[f"{place}_figure"])) >= math.log(1.1) - 1e-6
            elif name in {"long_stay", "comorbidity", "procedures"}:
                assert figures[f"{place}_figure"] >= 0.9 - 1e-6
            else:
                assert figures[f"{place}_figure"] <= 0.1 + 1e-6
            assert name not in words or words[name](row) in reason["text_en"]
    assert len(seen) >= 5


def test_every_sentence_states_its_figures(night: pd.DataFrame) -> None:
    """What a person reads is what the fields say, in both languages."""
    for row, figures in with_reason(night, "clone"):
        (reason,) = [reason for reason in row["reasons"] if reason["code"] == "clone"]
        if "copy_count" in figures:
            assert reason["text_id"].startswith(f"{figures['copy_count']} pasien rawat inap lain")
            assert reason["text_en"].startswith(f"{figures['copy_count']} other inpatient")
            continue
        assert reason["text_id"].startswith(f"{figures['clone_count']} pasien lain")
        assert reason["text_en"].startswith(f"{figures['clone_count']} other patient")
        assert f"Rp{row['amount_claimed']:,}" in reason["text_en"]
        assert f"Rp{row['amount_claimed']:,}".replace(",", ".") in reason["text_id"]


def test_one_is_singular(night: pd.DataFrame) -> None:
    texts = " | ".join(reason["text_en"] for reasons in night["reasons"] for reason in reasons)
    assert "1 other patient at this facility was billed" in texts
    assert "LOS 1 day, " in texts
    assert not re.search(r"\b1 (days|diagnoses|procedures|other patients)\b|\b0 days (before|between)", texts)
