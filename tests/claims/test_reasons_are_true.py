"""Reasons are true: their numbers, computed anew from the claims of a generated year by other code."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.sample import FraudRates, GeneratorConfig, generate, write
from ml.settings import Settings
from tests.claims.test_reasons import RULESET, scored


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return scored_year(tmp_path_factory.mktemp("night"), GeneratorConfig(claims=20_000, seed=5))


@pytest.fixture(scope="module")
def night_of_habits(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """With a facility that splits visits often enough to tell (five patients), and one that invents some on Sundays."""
    fragmented = GeneratorConfig(claims=20_000, seed=7, fraud=FraudRates(fragmentation=0.004))
    return scored_year(tmp_path_factory.mktemp("habits"), fragmented, sundays=8)


def with_sundays(visits: pa.Table, count: int) -> pa.Table:
    """Move some visits to Sundays, two to each, of the facility that sees most outpatients but none on a Sunday."""
    rows = visits.to_pandas()
    facility = rows["FKL02"].str.extract(r"^(\d+)\d{4}V")[0]
    sunday = pd.to_datetime(rows["FKL03"]).dt.day_of_week == 6
    outpatients = rows[(rows["FKL10"] == 1) & ~facility.isin(facility[sunday])]
    busiest = facility[outpatients.index].mode()[0]
    for n, row in enumerate(outpatients.index[facility[outpatients.index] == busiest][:count]):
        rows.loc[row, ["FKL03", "FKL04"]] = (pd.Timestamp("2022-03-06") + pd.Timedelta(weeks=n // 2)).date()
    return pa.Table.from_pandas(rows, schema=visits.schema, preserve_index=False)


def scored_year(folder: Path, config: GeneratorConfig, sundays: int = 0) -> pd.DataFrame:
    """A generated year, scored; with the discharge status and the set of secondary diagnoses from the raw files."""
    sample = generate(config)
    if sundays:
        sample = replace(sample, visits=with_sundays(sample.visits, sundays))
    write(sample, folder / "raw", "parquet", folder / "labels.parquet")
    claims = scored(
        Settings(
            _env_file=None, CLAIMS_INSTANCE_DIR=folder / "instance", CLAIMS_RAW_DIR=folder / "raw",
            CLAIMS_PATIENT_KEY_SECRET="a-secret-for-the-tests",
        )
    )  # fmt: skip
    (visits,) = (folder / "raw").glob("*fkrtl*")
    (diagnoses,) = (folder / "raw").glob("*diagnosissekunder*")
    claims["discharge_status"] = pq.read_table(visits).to_pandas().set_index("FKL02")["FKL14"]
    secondary = (
        pq.read_table(diagnoses).to_pandas().groupby("FKL02")["FKL24"].agg(lambda codes: tuple(sorted(set(codes))))
    )
    claims["secondary"] = [secondary.get(claim_id, ()) for claim_id in claims.index]
    claims["base"] = claims["inacbg_code"].map(base)
    return claims


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
            assert f"only {figures['bill_as_far']:,} of {len(of_code):,} claims with {row['inacbg_code']} " in said
            assert figures["bill_as_far"] <= 0.1 * len(of_code)
            spreads += 1
        bill = row["amount_claimed"] / (figures["price_median"] + row["topup_amount"])
        peers_told = figures["price_level"] <= 2 and bill > 1.01
        above = row["amount_claimed"] > 1.01 * (row["inacbg_tariff"] + row["topup_amount"])
        assert ("its own INA-CBG tariff" in said) == above
        assert ("the median of" in said) == (peers_told or not above)
        if peers_told or not above:
            assert f"{above_words(bill)} the median of {peers.sum():,} " in said
            assert (" similar claims (" in said) == (figures["price_level"] <= 2)
            assert ("adjusted to its class and region" in said) == (figures["price_level"] > 1)
        if above:
            times = row["amount_claimed"] / (row["inacbg_tariff"] + row["topup_amount"])
            assert f"{above_words(times)} its own INA-CBG tariff" in said
            assert f"(Rp{row['inacbg_tariff'] + row['topup_amount']:,})" in said
        seen.add((figures["price_level"], above))
    assert {level for level, _ in seen} >= {1, 2}
    assert spreads > 50


def above_words(times: float) -> str:
    return f"{times:.1f}x" if times >= 1.1 else f"{100 * (times - 1):.1f}% above"


def told(row: pd.Series, code: str) -> str:
    (text,) = [str(reason["text_en"]) for reason in row["reasons"] if reason["code"] == code]
    return text


def test_stays_as_short_as_said(night: pd.DataFrame) -> None:
    stays = night[night["service_type"] == "RITL"]
    group = stays["inacbg_code"].str.split("-").str[:2].str.join("-") + stays["severity_group"]
    usual_exit = stays["discharge_status"] == stays["discharge_status"].mode()[0]
    levels = set()
    for row, figures in with_reason(night, "short_stay", most=500):
        alike = {
            1: (stays["inacbg_code"] == row["inacbg_code"]) & (stays["discharge_status"] == row["discharge_status"]),
            2: (stays["inacbg_code"] == row["inacbg_code"]) & (usual_exit == usual_exit[row.name]),
            3: (group == group[row.name]) & (usual_exit == usual_exit[row.name]),
        }[figures["stay_level"]]
        as_short = int((stays[alike]["los"] <= row["los"]).sum())
        assert (figures["stay_as_short"], figures["stay_n"]) == (as_short, alike.sum())
        said = told(row, "short_stay")
        assert f"{as_short:,} of {alike.sum():,} similar stays" in said
        assert ("discharged in the same way" in said) == (figures["stay_level"] == 1)
        assert ("discharged as most are" in said) == (figures["stay_level"] > 1 and usual_exit[row.name])
        assert ("only" in said) == (as_short <= 0.1 * alike.sum())
        full = row["price_ln_ratio" if row["price_level"] <= 2 else "tariff_ln_ratio"]
        assert ("in full" in said) == (full > -0.05)
        levels.add(figures["stay_level"])
    assert len(levels) > 1


def test_top_ups_as_rare_as_said(night: pd.DataFrame) -> None:
    by_diagnosis = 0
    for row, figures in with_reason(night, "topup", most=400):
        found = []
        for code in row["topup_codes"].split(";"):
            has = night["topup_codes"].str.split(";").map(lambda codes, code=code: code in codes)
            alike = night["base"] == row["base"]
            shares = [((has & alike).sum() - 0.5, alike.sum(), (has & alike).sum(), "of " + row["base"])]
            for sick in {row["primary_diagnosis"], *row["secondary"]}:
                ill = (night["primary_diagnosis"] == sick) | night["secondary"].map(lambda all, sick=sick: sick in all)
                ill &= night["facility_key"] != row["facility_key"]
                if ill.sum() >= 20 and (has & ill).any():
                    shares.append(((has & ill).sum(), ill.sum(), (has & ill).sum(), "diagnosis " + sick))
            found.append(max((share / n, count, n, of) for share, n, count, of in shares))
        share, count, n, _of = min(found)
        assert row["topup_share"] == pytest.approx(share)
        assert figures["topup_alike"] / figures["topup_n"] == pytest.approx(count / n)
        assert figures["topup_usual_amount"] is None, "no generated top-up is at more than twice its usual amount"
        said = told(row, "topup")
        assert f"{figures['topup_alike']:,} of {figures['topup_n']:,} claims of " in said
        by_diagnosis += "other facilities with diagnosis" in said
    assert by_diagnosis > 0


def test_what_is_usual_is_told_only_where_it_is_the_strongest(night: pd.DataFrame) -> None:
    usual = {
        "short_stay": lambda row, figures: row["los_share_low"] > 0.1,
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
                assert place == 0
                assert not any(word in reason["text_en"] + reason["text_id"] for word in ("only", "hanya"))
                leading += 1
    assert leading > 5


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
        assert (" after " in told(row, "upcoding")) == usual_exit[row.name]
        checked += 1
    assert checked > 20


def test_the_other_claims_of_the_patient(night: pd.DataFrame) -> None:
    by_patient = dict(tuple(night.groupby("patient_key")))
    again = [one for one in with_reason(night, "repeat") if "repeat_n" in one[1]]
    assert len(again) > 20
    for row, figures in again:
        own = by_patient[row["patient_key"]]
        same = own[
            (own["primary_diagnosis"] == row["primary_diagnosis"]) & (own["procedure_codes"] == row["procedure_codes"])
        ]
        same = same.reset_index(drop=True).sort_values(["admission_date", "claim_id"])
        before = same.shift()[same["claim_id"] == row["claim_id"]]
        assert figures["repeat_after_days"] == (row["admission_date"] - before["admission_date"].iloc[0]).days
        assert figures["repeat_of"] == before["claim_id"].iloc[0]
        assert f"(claim {figures['repeat_of']})" in told(row, "repeat")
        bill = ["facility_key", "inacbg_code", "secondary", "amount_claimed"]
        assert figures["repeat_identical"] == all(before[name].iloc[0] == row[name] for name in bill)
        care = night[
            (night["primary_diagnosis"] == row["primary_diagnosis"])
            & (night["procedure_codes"] == row["procedure_codes"])
        ].reset_index(drop=True)
        care = care.sort_values(["patient_key", "admission_date", "claim_id"])
        repeated = care["repeat_after_days"] <= 3
        if figures["repeat_identical"]:
            repeated &= np.logical_and.reduce([care[name] == care[name].shift() for name in ["patient_key", *bill]])
        assert (figures["repeat_alike"], figures["repeat_n"]) == (repeated.sum(), len(care))


def test_the_week_is_as_full_as_told(night: pd.DataFrame) -> None:
    visits = night[night["service_type"] == "RJTL"].reset_index(drop=True)
    visits["day"] = [day.toordinal() for day in visits["admission_date"]]
    course = ["patient_key", "facility_key", "base"]
    of_course = {key: np.sort(days.to_numpy()) for key, days in visits.groupby(course)["day"]}
    fullest = []
    for *key, day in visits[[*course, "day"]].itertuples(index=False):
        days = of_course[tuple(key)]
        weeks = [days[(days >= first) & (days < first + 7)] for first in range(day - 6, day + 1)]
        fullest.append(max(map(len, weeks)))
    visits["fullest"] = fullest
    dense = [one for one in with_reason(night, "repeat") if "week_n" in one[1]]
    assert len(dense) > 5
    for row, figures in dense:
        alike, here = visits["base"] == row["base"], visits["facility_key"] == row["facility_key"]
        as_full = visits["fullest"] >= figures["week_visits"]
        own = visits[visits["claim_id"] == row["claim_id"]]
        assert figures["week_visits"] == own["fullest"].iloc[0]
        assert (figures["week_alike"], figures["week_n"]) == ((alike & as_full).sum(), alike.sum())
        assert row["week_share"] == pytest.approx(
            ((alike & as_full & ~here).sum() + 200 * as_full.mean()) / ((alike & ~here).sum() + 200)
        )
        assert row["week_share"] ** 0.6 < np.nan_to_num(row["repeat_share"], nan=1)
        assert f"{figures['week_visits']} visits of this patient" in told(row, "repeat")


def test_the_stay_is_continued(night: pd.DataFrame) -> None:
    by_patient = dict(tuple(night.groupby("patient_key")))
    stays = night[night["service_type"] == "RITL"]
    continued = [one for one in with_reason(night, "fragmentation") if one[1]["fragment_by"] == "stay"]
    assert len(continued) > 5
    for row, figures in continued:
        own = by_patient[row["patient_key"]]
        same = own[
            (own["facility_key"] == row["facility_key"])
            & (own["base"] == row["base"])
            & (own["service_type"] == "RITL")
            & (own["claim_id"] != row["claim_id"])
        ]
        other = same.loc[figures["fragment_of"]]
        before, after = row["admission_date"] - other["discharge_date"], other["admission_date"] - row["discharge_date"]
        gaps = [(row["admission_date"] - day).days for day in same["discharge_date"]]
        gaps += [(day - row["discharge_date"]).days for day in same["admission_date"]]
        assert figures["fragment_gap_days"] == min(gap for gap in gaps if gap >= 0) == max(before, after).days
        assert f"(claim {figures['fragment_of']})" in told(row, "fragmentation")
        alike = stays[stays["base"] == row["base"]]
        assert (figures["fragment_alike"], figures["fragment_n"]) == (
            (alike["fragment_by"] == "stay").sum(),
            len(alike),
        )


def test_the_visit_before_is_the_one_named(night_of_habits: pd.DataFrame) -> None:
    night = night_of_habits
    visits = night[night["service_type"] == "RJTL"].reset_index(drop=True)
    key = ["patient_key", "facility_key", "primary_diagnosis"]
    pairs = visits.merge(visits[[*key, "claim_id", "admission_date", "inacbg_code", "procedure_codes"]], on=key)
    gap = (pairs["admission_date_x"] - pairs["admission_date_y"]).map(lambda days: days.days)
    other_care = (pairs["inacbg_code_x"] != pairs["inacbg_code_y"]) | (
        pairs["procedure_codes_x"] != pairs["procedure_codes_y"]
    )
    pairs = pairs[gap.between(1, 2) & other_care].assign(gap=gap).sort_values(["gap", "claim_id_y"])
    nearest = pairs.groupby("claim_id_x").first()
    nearest = nearest[nearest.groupby(["patient_key", "facility_key"])["gap"].transform("size") <= 3]
    split = [one for one in with_reason(night, "fragmentation") if one[1]["fragment_by"] == "visit"]
    assert len(split) > 5
    for row, figures in split:
        earlier = nearest.loc[row["claim_id"]]
        assert (figures["fragment_of"], figures["fragment_gap_days"]) == (earlier["claim_id_y"], earlier["gap"])
        assert f"(claim {figures['fragment_of']})" in told(row, "fragmentation")
        here, alike = visits["facility_key"] == row["facility_key"], visits["base"] == row["base"]
        is_split = visits["claim_id"].isin(nearest.index)
        assert (figures["fragment_alike"], figures["fragment_n"]) == ((alike & is_split).sum(), alike.sum())
        assert row["fragment_share"] == pytest.approx(
            ((alike & is_split & ~here).sum() + 200 * is_split.mean()) / ((alike & ~here).sum() + 200)
        )
        patients = visits[here & visits["claim_id"].isin([other["claim_id"] for other, _ in split])]["patient_key"]
        assert patients.nunique() >= 5


def test_the_facility_is_closed_on_that_day(night_of_habits: pd.DataFrame) -> None:
    night = night_of_habits
    visits = night[night["service_type"] == "RJTL"]
    weekday = pd.to_datetime(visits["admission_date"]).dt.isocalendar().day
    closed = visits[visits["overlap_weekday"].notna()]
    assert len(closed) >= 2
    assert night["overlap_weekday"].notna().sum() == len(closed)
    for claim_id, row in closed.iterrows():
        same_care = visits["base"] == row["base"]
        here, on_day = visits["facility_key"] == row["facility_key"], weekday == weekday[claim_id]
        assert row["overlap_weekday"] == weekday[claim_id]
        assert (row["overlap_alike"], row["overlap_n"]) == ((same_care & on_day).sum(), same_care.sum())
        assert row["overlap_share"] == pytest.approx(
            ((same_care & on_day & ~here).sum() + 200 * on_day.mean()) / ((same_care & ~here).sum() + 200)
        )
        assert row["overlap_share"] < 0.05
        dates = visits[here].groupby(weekday[here])["admission_date"].nunique()
        assert 2 <= dates[weekday[claim_id]] <= dates.max() / 4


def test_the_patient_was_in_that_other_stay(night: pd.DataFrame) -> None:
    by_patient = dict(tuple(night.groupby("patient_key")))

    def stays_around(row: pd.Series) -> pd.DataFrame:
        own = by_patient[row["patient_key"]]
        return own[
            (own["service_type"] == "RITL")
            & (own["admission_date"] < row["admission_date"])
            & (own["discharge_date"] > row["admission_date"])
        ]

    inside = pd.Series({claim_id: len(stays_around(row)) > 0 for claim_id, row in night.iterrows()})
    closed = night["overlap_weekday"].notna()
    assert ((night["overlap_died"].eq(False) & ~closed) == inside).all()
    places = set()
    for row, figures in with_reason(night[~closed], "overlap"):
        around = stays_around(row)
        stay = around.loc[figures["overlap_of"]]
        assert stay["discharge_date"] == around["discharge_date"].max()
        assert figures["overlap_day"] == (row["admission_date"] - stay["admission_date"]).days
        assert figures["overlap_los"] == stay["los"]
        assert figures["overlap_elsewhere"] == (stay["facility_key"] != row["facility_key"])
        alike = (night["base"] == row["base"]) & (night["service_type"] == row["service_type"])
        assert (figures["overlap_alike"], figures["overlap_n"]) == ((alike & inside).sum(), alike.sum())
        said = told(row, "overlap")
        assert f"(claim {figures['overlap_of']}, LOS {days(stay['los'])})" in said
        assert f"began, {days(figures['overlap_day'])} after that admission" in said
        assert f"{figures['overlap_alike']:,} of {figures['overlap_n']:,} claims with {row['base']} " in said
        places.add("at another facility" in said)
    assert places == {True, False}


def days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"


def test_as_many_clones_as_said(night: pd.DataFrame) -> None:
    dates = pd.to_datetime(night["admission_date"]).sort_values().to_numpy()
    first, last = (dates[math.ceil(part * len(dates)) - 1] for part in (0.01, 0.99))
    days = (last - first) // np.timedelta64(1, "D") + 1

    def within(row: pd.Series, reach: int) -> int:
        """Days of the file so near to a claim."""
        ends = [np.datetime64(row["admission_date"]) + np.timedelta64(way * reach, "D") for way in (-1, 1)]
        return int((min(ends[1], last) - max(ends[0], first)) // np.timedelta64(1, "D")) + 1

    for row, figures in with_reason(night, "clone"):
        treated = night[
            (night["inacbg_code"] == row["inacbg_code"]) & (night["primary_diagnosis"] == row["primary_diagnosis"])
        ]
        alike = treated[
            (treated["procedure_codes"] == row["procedure_codes"]) & (treated["secondary"] == row["secondary"])
        ]
        own = treated["facility_key"] == row["facility_key"]
        own_alike = alike["facility_key"] == row["facility_key"]
        usual = ((~own_alike).sum() + 0.5) / ((~own).sum() + 10)
        same = alike[own_alike & (alike["amount_claimed"] == row["amount_claimed"])]
        same = same[same["patient_key"] != row["patient_key"]]
        gaps = (same["admission_date"] - row["admission_date"]).map(lambda gap: abs(gap.days))
        assert figures["clone_count"] == same[gaps <= 30]["patient_key"].nunique()
        near = same[gaps <= 30]
        assert figures["clone_of"] == sorted(near["claim_id"])[:4]
        listed = ", ".join(figures["clone_of"][:3])
        assert (f"(among them claims {listed})" in told(row, "clone")) == (len(near) > 3)
        assert f" {listed}); " in told(row, "clone")
        month = max(within(row, 30), 31)
        steady = same[gaps > 90]["patient_key"].nunique() * month / (days - within(row, 90))
        assert figures["clone_expected"] == pytest.approx(max(own.sum() * month / days * usual, steady))
        assert figures["amount_claimed"] == row["amount_claimed"]


def deviations_above(night: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How many of the peers' standard deviations a bill is above their median, and above its own tariff."""
    wide, tariff = night["price_level"] > 2, night["tariff_ln_ratio"]
    usual = night["price_median"] * np.exp(night["own_ln_ratio"]) + night["topup_amount"]
    above = np.log(night["amount_claimed"] / usual)
    half = np.where(tariff.abs() <= 0.01, 0.5, 1)
    by_peers = above * half / np.hypot(night["price_ln_spread"], np.where(wide, 0.5, 0.05))
    by_tariff = tariff / np.hypot(np.where(wide, 0, night["price_ln_spread"]), 0.05)
    return by_peers.where((above > 0.01) & (~wide | tariff.isna())), by_tariff.where(tariff > 0.01)


def shown_patterns(night: pd.DataFrame) -> pd.DataFrame:
    """Which claims show each pattern of a provider's habits, from their figures."""
    count, expected = night["clone_count"].fillna(0), night["clone_expected"].fillna(1)
    clone = (count * np.log(count.clip(lower=1) / expected) - count + expected).where(count > expected, 0)
    wide = night["price_level"] > 2
    at_tariff = (night["price_level"] <= 2) & (night["tariff_ln_ratio"].abs() <= 0.01)
    of_facility = night["price_ln_ratio"].where(at_tariff).groupby([night["facility_key"], night["service_type"]])
    usual = of_facility.transform("median").where(of_facility.transform("count") >= 10).clip(lower=0).fillna(0)
    usual = usual.where(~wide, 0)
    assert night["own_ln_ratio"].to_numpy() == pytest.approx(usual.to_numpy(), abs=1e-9)
    by_peers, by_tariff = deviations_above(night)
    return pd.DataFrame(
        {
            "severity": (night["severity_level"].fillna(1) - 1).clip(lower=0),
            "inflated_bill": (np.fmax(by_peers, by_tariff) > 1) & ~(night["tariff_ln_ratio"] <= 0.01),
            "short_stay": night["los_share_low"] < math.exp(-3),
            "topup": night["topup_share"] < math.exp(-3),
            "repeat": night["repeat_share"] < math.exp(-2),
            "fragmentation": night["fragment_gap_days"].notna(),
            "overlap": night["overlap_of"].notna() | night["overlap_weekday"].notna(),
            "clone": clone > 10,
        }
    ).astype(float)


def test_the_providers_figures(night: pd.DataFrame) -> None:
    claims = night.groupby("facility_key").size()
    scores = night["provider"].map(lambda provider: provider["risk_score"]).groupby(night["facility_key"]).first()
    shown = shown_patterns(night)
    usual = shown.groupby(night["base"]).transform("mean")
    of_class = shown["severity"].groupby([night["base"], night["facility_class"]])
    usual["severity"] = (of_class.transform("sum") + 50 * usual["severity"]) / (of_class.transform("size") + 50)
    observed, expected = (table.groupby(night["facility_key"]).sum() for table in (shown, usual))
    for row, figures in with_reason(night, "provider"):
        facility, pattern = row["facility_key"], figures["pattern"]
        assert figures["expected"] == pytest.approx(expected.loc[facility, pattern], abs=1e-3)
        assert figures["claims"] == claims[facility]
        assert figures["rank"] == (scores > scores[facility]).sum() + 1
        assert figures["observed"] == observed.loc[facility, pattern]
    for _, first in night[night["provider_patterns"].notna()].iterrows():
        facility = first["facility_key"]
        for pattern in first["provider_patterns"]:
            assert pattern["observed"] == observed.loc[facility, pattern["pattern"]]
            assert pattern["expected"] == pytest.approx(expected.loc[facility, pattern["pattern"]], abs=1e-3)
    assert (observed.sum() > 0).all()
    habits = 0
    for code in ("inflated_bill", "short_stay", "topup", "repeat", "fragmentation", "overlap", "clone", "upcoding"):
        for row, figures in with_reason(night, code, most=500):
            if "habit_observed" in figures:
                facility, pattern = row["facility_key"], "severity" if code == "upcoding" else code
                assert figures["habit_observed"] == observed.loc[facility, pattern] >= 3
                assert figures["habit_expected"] == pytest.approx(expected.loc[facility, pattern], abs=1e-3)
                assert f"; at this facility {figures['habit_observed']:,} " in told(row, code)
                habits += 1
    assert habits > 20


def test_what_makes_a_claim_odd_is_named_with_its_figure(night: pd.DataFrame) -> None:
    """The named figure is the one without which the forest's score drops most (the drops are in the fields), unless a
    typology's reason tells it, and unless one in five of the peers have it."""
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
        for place in ("first", "second"):
            if (name := figures[place]) is None:
                assert figures[f"{place}_figure"] is None
                continue
            seen.add(name)
            assert figures[f"{place}_figure"] == pytest.approx(figure[name](row))
            if name in {"price", "tariff", "day_price"}:
                assert abs(math.log(figures[f"{place}_figure"])) >= math.log(1.1) - 1e-6
            elif name in {"long_stay", "comorbidity", "procedures"}:
                assert figures[f"{place}_figure"] >= 0.8 - 1e-6
            else:
                assert figures[f"{place}_figure"] <= 0.2 + 1e-6
            assert name not in words or words[name](row) in reason["text_en"]
    assert len(seen) >= 5


def test_the_provider_reason_repeats_no_habit(night: pd.DataFrame) -> None:
    seen = set()
    for row, figures in with_reason(night, "provider", most=400):
        told_before = row["habit_pattern"] == figures["pattern"] and row["habit_observed"] >= 3
        seen.add(told_before)
        assert told_before != (
            f"{figures['observed']:,} " in told(row, "provider").split("risk rank")[0]
            and "would be expected" in told(row, "provider")
        )
    assert seen == {True, False}


def test_every_sentence_states_its_figures(night: pd.DataFrame) -> None:
    """What a person reads is what the fields say, in both languages."""
    for row, figures in with_reason(night, "clone"):
        (reason,) = [reason for reason in row["reasons"] if reason["code"] == "clone"]
        assert reason["text_id"].startswith(f"{figures['clone_count']} pasien lain")
        assert reason["text_en"].startswith(f"{figures['clone_count']} other patient")
        assert f"Rp{row['amount_claimed']:,}" in reason["text_en"]
        assert f"Rp{row['amount_claimed']:,}".replace(",", ".") in reason["text_id"]


def test_one_is_singular(night: pd.DataFrame) -> None:
    texts = " | ".join(reason["text_en"] for reasons in night["reasons"] for reason in reasons)
    assert "1 other patient at this facility was billed" in texts
    assert "LOS 1 day, " in texts
    assert not re.search(r"\b1 (days|diagnoses|procedures|other patients)\b|\b0 days (before|between)", texts)
