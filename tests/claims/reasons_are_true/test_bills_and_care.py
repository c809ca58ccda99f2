"""Reasons of bills, stays, top-ups and severity are true: their numbers, computed anew from the claims."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
import pandas as pd
import pytest

from tests.claims.reasons_are_true.figures import (
    above_words,
    days,
    deviations_above,
    told,
    with_reason,
)


def test_the_bill_and_the_median_of_its_peers(night: pd.DataFrame) -> None:
    """Wider peers after taking off what class, ward and region add (two rounds of median polish, as in features.md)."""
    price = night["amount_claimed"] - night["topup_amount"]
    ln_price = np.log(price.clip(lower=1))
    places = ["service_type", "facility_class", "ward_class", "tariff_region"]
    place = night[places].astype(str).agg("|".join, axis=1)
    effect = (ln_price - ln_price.groupby(night["inacbg_code"]).transform("median")).groupby(place).transform("median")
    level = (ln_price - effect).groupby(night["inacbg_code"]).transform("median")
    effect = (ln_price - level).groupby(place).transform("median")
    group = night["inacbg_code"].str.split("-").str[:2].str.join("-")
    alike = {1: [place, night["inacbg_code"]], 2: [night["inacbg_code"]], 3: [group, night["severity_group"]],
             4: [night["severity_group"]]}  # fmt: skip
    by_peers, by_tariff = deviations_above(night)
    deviations, spreads = np.fmax(by_peers, by_tariff), 0
    seen = set()
    for row, figures in with_reason(night, "inflated_bill", most=500):
        assert figures["amount_claimed"] == row["amount_claimed"]
        peers = np.logical_and.reduce([keys == keys[row.name] for keys in alike[figures["price_level"]]])
        assert figures["price_n"] == peers.sum()
        usual = np.median((ln_price - effect)[peers]) + effect[row.name]
        assert figures["price_median"] == pytest.approx(math.exp(usual))
        said = told(row, "inflated_bill")
        of_code = deviations[(night["inacbg_code"] == row["inacbg_code"]).to_numpy()]
        assert figures["bill_n"] == len(of_code)
        least, most = ((of_code > deviations[row.name] * (1 + sign * 1e-9)).sum() for sign in (1, -1))
        assert least < figures["bill_as_far"] <= most
        if "by their spread" in said:
            which = f"{len(of_code):,} {row['service_type']} claims with {row['inacbg_code']} "
            assert f"only {figures['bill_as_far']:,} of {which}" in said
            assert figures["bill_as_far"] <= 0.1 * len(of_code)
            spreads += 1
        bill = row["amount_claimed"] / (figures["price_median"] + row["topup_amount"])
        assert re.search(rf"^billed Rp{row['amount_claimed']:,}( = [\d,.]+x|, [\d.]+% above) ", said)
        peers_told = figures["price_level"] <= 2 and bill > 1.01
        above = row["amount_claimed"] > 1.01 * (row["inacbg_tariff"] + row["topup_amount"])
        at = row["amount_claimed"] == row["inacbg_tariff"] + row["topup_amount"]
        assert ("its own INA-CBG tariff" in said) == (above or at)
        assert (", equal to its own" in said) == at
        assert peers_told or above
        assert ("the median of" in said) == peers_told
        if peers_told:
            assert f"{above_words(bill)} the median of {peers.sum():,} similar claims (" in said
            assert ("adjusted to its class and region" in said) == (figures["price_level"] > 1)
        if above:
            times = row["amount_claimed"] / (row["inacbg_tariff"] + row["topup_amount"])
            assert f"{above_words(times)} its own INA-CBG tariff" in said
            assert f"(Rp{row['inacbg_tariff'] + row['topup_amount']:,})" in said
        seen.add((figures["price_level"], above))
    assert {level for level, _ in seen} >= {1, 2}
    assert spreads > 30


def test_days_as_dear_and_codes_as_rare_as_the_odd_figures_say(night: pd.DataFrame) -> None:
    days_told = codes_told = 0
    for row, figures in with_reason(night, "anomaly", most=5_000):
        names = {figures["first"], figures["second"]}
        said = told(row, "anomaly")
        assert figures["inacbg_code"] == row["inacbg_code"]
        if "day_price" in names:
            alike = night[night["inacbg_code"] == row["inacbg_code"]]
            times = row["price_per_day"] / alike["price_per_day"].median()
            assert figures["day_price_n"] == len(alike) >= 20
            assert alike["facility_key"].nunique() >= 3
            assert f"billed {times:.1f}x the median of {len(alike):,} claims with {row['inacbg_code']} per day" in said
            days_told += 1
        if "admission" in names:
            is_stay = row["service_type"] == "RITL"
            by = "admission_diagnosis" if is_stay else "primary_diagnosis"
            alike = night[(night["service_type"] == row["service_type"]) & (night[by] == row[by])]
            count = int((alike["base"] == row["base"]).sum())
            assert (figures[by], figures["admission_alike"], figures["admissions"]) == (row[by], count, len(alike))
            visits = "stays with admission" if is_stay else "outpatient visits with primary"
            assert f"{count:,} of {len(alike):,} {visits} diagnosis {row[by]} " in said
            assert f"billed as {row['base']}" in said
            codes_told += 1
    assert days_told > 0
    assert codes_told > 0


def test_stays_as_short_as_said(night: pd.DataFrame) -> None:
    stays = night[night["service_type"] == "RITL"]
    group = stays["inacbg_code"].str.split("-").str[:2].str.join("-") + stays["severity_group"]
    usual_exit = stays["discharge_status"] == stays["discharge_status"].mode()[0]
    empty = (stays["procedure_count"] == 0) & (stays["comorbidity_count"] == 0)
    levels, empties = set(), 0
    for row, figures in with_reason(night, "short_stay", most=500):
        alike = {
            1: (stays["inacbg_code"] == row["inacbg_code"]) & (stays["discharge_status"] == row["discharge_status"]),
            2: (stays["inacbg_code"] == row["inacbg_code"]) & (usual_exit == usual_exit[row.name]),
            3: (group == group[row.name]) & (usual_exit == usual_exit[row.name]),
        }[figures["stay_level"]]
        as_short = int((stays[alike]["los"] <= row["los"]).sum())
        assert (figures["stay_as_short"], figures["stay_n"]) == (as_short, alike.sum())
        said = told(row, "short_stay")
        is_empty = "without a procedure or a secondary diagnosis" in said
        if is_empty:
            of_code = stays["inacbg_code"] == row["inacbg_code"]
            as_empty = int((of_code & empty).sum())
            assert empty[row.name]
            assert f"only {as_empty:,} of {of_code.sum():,} stays with {row['inacbg_code']} " in said
            assert as_empty <= 0.1 * of_code.sum()
            empties += 1
        else:
            assert f"{as_short:,} of {alike.sum():,} similar stays" in said
            assert ("only" in said) == (as_short <= 0.1 * alike.sum())
        if f"{as_short:,} of {alike.sum():,} similar stays" in said:
            assert ("discharged in the same way" in said) == (figures["stay_level"] == 1)
            assert ("discharged as most are" in said) == (figures["stay_level"] > 1 and usual_exit[row.name])
        full = row["price_ln_ratio" if row["price_level"] <= 2 else "tariff_ln_ratio"]
        assert (row["price_level"] <= 2) == pd.notna(row["price_ln_ratio"])
        assert ("in full" in said) == (abs(full) <= 0.05)
        levels.add(figures["stay_level"])
    assert len(levels) > 1
    assert empties > 0


def test_top_ups_as_rare_as_said(night: pd.DataFrame) -> None:
    by_diagnosis = 0

    @functools.cache
    def among(column: str, code: str) -> pd.Series:
        return night[column].str.split(";").map(lambda codes: code in codes)

    @functools.cache
    def with_diagnosis(sick: str) -> pd.Series:
        return (night["primary_diagnosis"] == sick) | night["secondary"].map(lambda codes: sick in codes)

    for row, figures in with_reason(night, "topup", most=400):
        found = []
        for code in row["topup_codes"].split(";"):
            has = among("topup_codes", code)
            alike = night["base"] == row["base"]
            shares = [((has & alike).sum() - 0.5, alike.sum(), (has & alike).sum(), "of " + row["base"])]
            for sick in {row["primary_diagnosis"], *row["secondary"]}:
                ill = with_diagnosis(sick)
                for done in filter(None, row["procedure_codes"].split(";")):
                    both = ill & among("procedure_codes", done)
                    if both.sum() >= 20 and (has & both).sum() - 0.5 > both.sum() / 2:
                        shares.append(((has & both).sum() - 0.5, both.sum(), (has & both).sum(), "procedure " + done))
                ill = ill & (night["facility_key"] != row["facility_key"])
                if ill.sum() >= 20 and (has & ill).any():
                    shares.append(((has & ill).sum(), ill.sum(), (has & ill).sum(), "diagnosis " + sick))
            found.append(max((share / n, count, n, of) for share, n, count, of in shares))
        share, count, n, _of = min(found)
        assert row["topup_share"] == pytest.approx(share)
        assert figures["topup_alike"] / figures["topup_n"] == pytest.approx(count / n)
        assert figures["topup_usual_amount"] is None, "no generated top-up is at more than twice its usual amount"
        said = told(row, "topup")
        of = "with diagnosis" if figures["topup_procedure"] else "of"
        assert f"{figures['topup_alike']:,} of {figures['topup_n']:,} claims {of} " in said
        by_secondary = figures["topup_diagnosis"] not in (None, row["primary_diagnosis"])
        assert ("(of this claim a secondary one)" in said) == (by_secondary and not figures["topup_procedure"])
        by_diagnosis += "other facilities with diagnosis" in said
    assert by_diagnosis > 0


def test_severity_as_unlikely_as_said(night: pd.DataFrame) -> None:
    """P(severity or more | INA-CBG, at most as many secondary diagnoses, LOS), step by step as features.md has it."""
    stays = night[(night["service_type"] == "RITL") & night["severity_level"].between(1, 3)].copy()
    stays["ln_los"] = np.log(stays["los"] + 0.5)
    usual_exit = stays["discharge_status"] == stays["discharge_status"].mode()[0]
    of_base = stays.groupby("base")["ln_los"].median()
    of_level = stays.groupby(["base", "severity_level"])["ln_los"].agg(["median", "size"])
    step = (stays["ln_los"] - stays["base"].map(of_base)).groupby(stays["severity_level"]).median()
    rest = stays["ln_los"] - stays.groupby(["base", "severity_level"])["ln_los"].transform("median")
    wide = max(1.4826 * (rest - rest.median()).abs().median(), 0.3)

    def likelihood(row: pd.Series, level: int) -> float:
        middle, count = of_level.loc[(row["base"], level)] if (row["base"], level) in of_level.index else (0.0, 0)
        usual = (count * middle + 10 * (of_base[row["base"]] + step[level])) / (count + 10)
        return math.exp(-(((row["ln_los"] - usual) / wide) ** 2) / 2) / wide + 0.001

    checked = 0
    for row, figures in with_reason(night, "upcoding", most=400):
        if "severity_share" not in figures:
            of = "admission_diagnosis" if row["service_type"] == "RITL" else "primary_diagnosis"
            assert figures[of] == row[of], "the sentence speaks of stays, or of outpatient visits"
            alike = night[(night["service_type"] == row["service_type"]) & (night[of] == row[of])]
            same = (alike["base"] == row["base"]).sum()
            assert (figures["admission_alike"], figures["admissions"]) == (same, len(alike))
            continue
        up_to = stays[stays["comorbidity_count"] <= row["comorbidity_count"]]
        own, weight = stays.loc[row.name], {}
        for level in (1, 2, 3):
            left_out = int(level == row["severity_level"])
            alike = ((up_to["base"] == own["base"]) & (up_to["severity_level"] == level)).sum() - left_out
            anywhere = max((up_to["severity_level"] == level).sum() - left_out, 0.5 * left_out)
            fits = likelihood(own, level) if usual_exit[row.name] else 1  # who died or was referred left early
            weight[level] = (alike + 20 * anywhere / len(up_to)) * fits
        share = sum(weight[level] for level in weight if level >= row["severity_level"]) / sum(weight.values())
        assert figures["severity_share"] == pytest.approx(share)
        said = told(row, "upcoding")
        assert (" after " in said) == usual_exit[row.name]
        counted = up_to[(up_to["base"] == own["base"]) & ((up_to["los"] <= own["los"]) | (not usual_exit[row.name]))]
        alike = (counted["severity_level"] >= row["severity_level"]).sum()
        assert (figures["severity_alike"], figures["severity_n"]) == (alike, len(counted))
        within = f"LOS ≤{days(row['los'])} and " if usual_exit[row.name] else ""
        assert (f" (recorded: {alike:,} of {len(counted):,} with {within}" in said) == (len(counted) >= 30)
        in_indonesian = next(reason["text_id"] for reason in row["reasons"] if reason["code"] == "upcoding")
        assert "dengan tanpa" not in in_indonesian
        counts = f" (tercatat {alike:,} dari {len(counted):,} ".replace(",", ".")
        assert (counts in in_indonesian) == (len(counted) >= 30)
        assert ("dengan LOS ≤" in in_indonesian) == (len(counted) >= 30 and usual_exit[row.name])
        checked += 1
    assert checked > 20
