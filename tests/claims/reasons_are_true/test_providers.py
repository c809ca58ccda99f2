"""Reasons of clones, habits and providers are true: their numbers, computed anew from the claims."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.claims.reasons_are_true.figures import (
    copied_stays,
    shown_patterns,
    strong,
    told,
    with_reason,
)


def test_as_many_clones_as_said(night: pd.DataFrame) -> None:
    dates = pd.to_datetime(night["admission_date"]).sort_values().to_numpy()
    first, last = (dates[math.ceil(part * len(dates)) - 1] for part in (0.01, 0.99))
    days = (last - first) // np.timedelta64(1, "D") + 1

    def within(row: pd.Series, reach: int) -> int:
        """Days of the file so near to a claim."""
        ends = [np.datetime64(row["admission_date"]) + np.timedelta64(way * reach, "D") for way in (-1, 1)]
        return int((min(ends[1], last) - max(ends[0], first)) // np.timedelta64(1, "D")) + 1

    for row, figures in with_reason(night, "clone"):
        if "copy_count" in figures:
            continue
        of_code = night[night["inacbg_code"] == row["inacbg_code"]]
        if figures["by_amount"]:
            treated = of_code[of_code["amount_claimed"] != of_code["inacbg_tariff"] + of_code["topup_amount"]]
            text, alike = treated, treated[treated["amount_claimed"] == row["amount_claimed"]]
        else:
            treated = of_code[of_code["primary_diagnosis"] == row["primary_diagnosis"]]
            text = alike = treated[
                (treated["procedure_codes"] == row["procedure_codes"]) & (treated["secondary"] == row["secondary"])
            ]
        own = treated["facility_key"] == row["facility_key"]
        own_alike = alike["facility_key"] == row["facility_key"]
        usual = ((~own_alike).sum() + 0.5) / ((~own).sum() + 10)
        same = text[(text["facility_key"] == row["facility_key"]) & (text["patient_key"] != row["patient_key"])]
        gaps = (same["admission_date"] - row["admission_date"]).map(lambda gap: abs(gap.days))
        at_this = same["amount_claimed"] == row["amount_claimed"]
        near = same[(gaps <= 30) & at_this]
        assert figures["clone_count"] == near["patient_key"].nunique()
        named = near.loc[figures["clone_of"], "patient_key"]
        assert named.nunique() == len(named) == min(figures["clone_count"], 4)
        listed = ", ".join(figures["clone_of"][:3])
        assert (f"(among them claims {listed})" in told(row, "clone")) == (figures["clone_count"] > 3)
        assert f" {listed}); " in told(row, "clone")
        month = max(within(row, 30), 31)
        own_dates = pd.to_datetime(treated.loc[own, "admission_date"]).to_numpy()
        since, until = (max(own_dates.min(), first), min(own_dates.max(), last)) if own.sum() >= 50 else (first, last)
        treats = (until - since) // np.timedelta64(1, "D") + 1
        apart = max(min(90, treats // 4), 31)
        day = np.datetime64(row["admission_date"])
        far = sum(max((days_off // np.timedelta64(1, "D")) - apart, 0) for days_off in (day - since, until - day))
        at_others = same[gaps <= 30]["patient_key"].nunique() - near["patient_key"].nunique()
        rate = month / far if far > min(61, treats / 6) else 0
        steady = max(
            same[(gaps > apart) & at_this]["patient_key"].nunique() * rate,
            same[gaps > apart]["patient_key"].nunique() * rate - at_others,
        )
        assert figures["clone_expected"] == pytest.approx(max(own.sum() * month / days * usual, steady))
        assert figures["amount_claimed"] == row["amount_claimed"]


def test_stays_are_copied_as_said(night_of_habits: pd.DataFrame) -> None:
    night = night_of_habits
    counted = copied_stays(night)
    told_of = [(row, figures) for row, figures in with_reason(night, "clone") if "copy_count" in figures]
    assert len(told_of) > 5
    for row, figures in told_of:
        alike = night[night["service_type"] == "RITL"]
        for code in ("inacbg_code", "admission_diagnosis", "primary_diagnosis", "secondary", "procedure_codes"):
            alike = alike[(alike[code] == row[code]) | (alike[code].isna() & pd.isna(row[code]))]
        own = alike[(alike["facility_key"] == row["facility_key"]) & (alike["patient_key"] != row["patient_key"])]
        assert figures["copy_count"] == own["patient_key"].nunique() > 0
        assert own.loc[figures["copy_of"], "patient_key"].nunique() == len(figures["copy_of"])
        assert len(figures["copy_of"]) == min(figures["copy_count"], 3)
        assert figures["copy_expected"] == pytest.approx(counted.loc[row.name, "expected"])
        assert (figures["copy_elsewhere"], figures["copy_n"]) == tuple(counted.loc[row.name, ["elsewhere", "n"]])
        assert row["copy_share"] == pytest.approx(counted.loc[row.name, "share"])
        assert f"; {'among them claims' if figures['copy_count'] > 3 else 'claim'}" in told(row, "clone")
        assert f" {', '.join(figures['copy_of'])}); elsewhere " in told(row, "clone")


def _habits(
    night: pd.DataFrame, shown: pd.DataFrame, observed: pd.DataFrame, expected: pd.DataFrame, prior: pd.Series
) -> pd.Series:
    """ln(others of the provider that show the claim's pattern / expected), each with its prior; 0 without a habit."""
    habits = pd.Series(0.0, night.index)
    for claim_id, row in night[night["habit_pattern"].notna()].iterrows():
        facility, pattern = row["facility_key"], row["habit_pattern"]
        others = observed.loc[facility, pattern] - shown.loc[claim_id, pattern]
        habits[claim_id] = np.log((others + prior[pattern]) / (expected.loc[facility, pattern] + prior[pattern]))
    assert (habits > 0).sum() > 100
    return habits


def test_the_providers_figures(night: pd.DataFrame) -> None:
    claims = night.groupby("facility_key").size()
    scores = night["provider"].map(lambda provider: provider["risk_score"]).groupby(night["facility_key"]).first()
    shown = shown_patterns(night)
    usual = shown.groupby(night["base"]).transform("mean")
    stay = night["service_type"] == "RITL"
    from_diagnosis = [night["service_type"], night["admission_diagnosis"].where(stay, night["primary_diagnosis"])]
    usual["dearer_code"] = shown["dearer_code"].groupby(from_diagnosis).transform("mean")
    for pattern, case in (("severity", [night["base"]]), ("dearer_code", from_diagnosis)):
        of_class = shown[pattern].groupby([*case, night["facility_class"]])
        usual[pattern] = (of_class.transform("sum") + 50 * usual[pattern]) / (of_class.transform("size") + 50)
    shown["strong"] = strong(night)
    usual["strong"] = shown["strong"].groupby(night["service_type"]).transform("mean")
    observed, expected = (table.groupby(night["facility_key"]).sum() for table in (shown, usual))
    for row, figures in with_reason(night, "provider"):
        facility, pattern = row["facility_key"], figures["pattern"]
        assert pattern is not None, "a facility in this year that has strong claims and no pattern: treat it here"
        assert figures["expected"] == pytest.approx(expected.loc[facility, pattern], abs=1e-3)
        assert figures["claims"] == claims[facility]
        assert figures["rank"] == (scores > scores[facility]).sum() + 1
        assert figures["observed"] == observed.loc[facility, pattern]
        assert figures["strong_observed"] == observed.loc[facility, "strong"]
        assert figures["strong_expected"] == pytest.approx(expected.loc[facility, "strong"], abs=1e-3)
    for _, first in night[night["provider_patterns"].notna()].iterrows():
        facility = first["facility_key"]
        for pattern in first["provider_patterns"]:
            assert pattern["observed"] == observed.loc[facility, pattern["pattern"]]
            assert pattern["expected"] == pytest.approx(expected.loc[facility, pattern["pattern"]], abs=1e-3)
    assert (observed.sum() > 0).all()
    prior = pd.Series({pattern: 10 if pattern == "severity" else 2 for pattern in observed})
    ratio = (observed + prior) / (expected + prior)
    assert (ratio["strong"] > 1).sum() >= 3
    evidence = night["facility_key"].map(2 * np.log(ratio["strong"].clip(lower=1)))
    evidence += _habits(night, shown, observed, expected, prior)
    assert night["evidence_provider"].to_numpy() == pytest.approx(evidence.to_numpy(), abs=1e-3)
    amount = night.groupby("facility_key")["amount_claimed"].sum()
    volume = np.sqrt(amount.astype(float) * claims * night["amount_claimed"].mean())
    deviance = (observed * np.log(ratio) - (ratio - 1) * expected).where(ratio > 1, 0)
    weighed = volume**0.25 * (1 + (deviance["strong"] / 5) ** 2)
    assert scores.to_numpy() == pytest.approx((weighed / (weighed + 1e9**0.25)).to_numpy(), abs=1e-4)
    assert (deviance["strong"] > 1).any()
    for _, first in night[night["provider_patterns"].notna()].iterrows():
        of_it = deviance.loc[first["facility_key"]]
        assert first["provider"]["deviance"] == pytest.approx(of_it["strong"], abs=0.01)
        assert first["provider_patterns"][0]["pattern"] == "strong"
        largest = of_it.drop("strong")
        assert first["provider"]["pattern"] == (largest.idxmax() if largest.max() >= 1 else None)
    habits = 0
    for code in (
        "inflated_bill",
        "short_stay",
        "topup",
        "repeat",
        "fragmentation",
        "overlap",
        "clone",
        "single_visit",
        "upcoding",
    ):
        for row, figures in with_reason(night, code, most=500):
            if "habit_observed" in figures:
                facility, pattern = row["facility_key"], code
                if code == "upcoding":
                    pattern = "severity" if row["upcoding_by"] == "severity" else "dearer_code"
                assert figures["habit_observed"] == observed.loc[facility, pattern] >= 3
                assert figures["habit_expected"] == pytest.approx(expected.loc[facility, pattern], abs=1e-3)
                assert f"; at this facility {figures['habit_observed']:,} " in told(row, code)
                habits += 1
    assert habits > 20


def test_the_provider_reason_repeats_no_habit(night: pd.DataFrame) -> None:
    seen = set()
    for row, figures in with_reason(night, "provider", most=400):
        told_before = row["habit_pattern"] == figures["pattern"] and row["habit_observed"] >= 3
        told_before |= figures["observed"] < 3
        seen.add(told_before)
        habit, _, rest = told(row, "provider").rpartition(f"{figures['strong_observed']:,} of {figures['claims']:,} ")
        assert rest.startswith("claims with strong evidence")
        assert told_before != (f": {figures['observed']:,} " in habit and "would be expected" in habit)
    assert seen == {True, False}
