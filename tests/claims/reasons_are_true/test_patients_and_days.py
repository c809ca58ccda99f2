"""Reasons that name other claims of a patient, or a day, are true: computed anew from the claims."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.claims.reasons_are_true.figures import (
    days,
    told,
    with_reason,
)


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
        earlier = same[: same["claim_id"].tolist().index(row["claim_id"])]
        after_days = earlier["admission_date"].map(lambda day, row=row: (row["admission_date"] - day).days)
        bill = ["facility_key", "inacbg_code", "secondary", "amount_claimed"]
        very_same = earlier[(earlier[bill] == row[bill]).all(axis=1) & (after_days <= 3)]
        assert figures["repeat_identical"] == (len(very_same) > 0)
        before = (very_same if len(very_same) else earlier).iloc[-1]
        assert figures["repeat_after_days"] == after_days[before.name]
        assert figures["repeat_of"] == before["claim_id"]
        said = told(row, "repeat")
        assert f"(claim {figures['repeat_of']})" in said
        assert ("no procedures" in said or "without procedures" in said) == (row["procedure_count"] == 0)
        elsewhere = before["facility_key"] != row["facility_key"]
        assert (figures["repeat_elsewhere"], "by another facility" in said) == (elsewhere, elsewhere)
        care = night[
            (night["primary_diagnosis"] == row["primary_diagnosis"])
            & (night["procedure_codes"] == row["procedure_codes"])
        ].reset_index(drop=True)
        care = care.sort_values(["patient_key", "admission_date", "claim_id"])
        repeated = care["repeat_after_days"] <= 3
        if figures["repeat_identical"]:
            # Another bill may lie between the two.
            day = care["admission_date"].map(date.toordinal)
            repeated = day.groupby([care[name] for name in ["patient_key", *bill]]).diff() <= 3
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
        identical = row["repeat_identical"] is True
        weight = 0.7 if not identical else 1.5 if row["repeat_after_days"] == 1 else 1
        assert row["week_share"] ** 0.6 < np.nan_to_num(row["repeat_share"], nan=1) ** weight
        said = told(row, "repeat")
        assert f"{figures['week_visits']} visits of this patient" in said
        named = night.loc[[row["claim_id"], *figures["week_of"]]]
        assert len(set(named.index)) == min(figures["week_visits"], 7)
        assert named[[*course, "service_type"]].drop_duplicates().shape[0] == 1
        assert (named["admission_date"].max() - named["admission_date"].min()).days <= 6
        assert (
            f"({'among them ' if figures['week_visits'] > 7 else ''}claims {', '.join(figures['week_of'])}); " in said
        )


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
        said = told(row, "fragmentation")
        assert f"(claim {figures['fragment_of']})" in said
        alike_coded = (row["secondary"], row["severity_level"]) == (other["secondary"], other["severity_level"])
        assert (figures["fragment_same"], ", the same severity and secondary" in said) == (alike_coded,) * 2
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
    treated = (pairs["procedure_codes_x"] != "") | (pairs["procedure_codes_y"] != "")
    pairs = pairs[gap.between(1, 2) & other_care & treated].assign(gap=gap).sort_values(["gap", "claim_id_y"])
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
    claims = night[["claim_id", "patient_key", "admission_date"]].reset_index(drop=True)
    stays = night[night["service_type"] == "RITL"][["patient_key", "admission_date", "discharge_date"]]
    pairs = claims.merge(stays.reset_index(names="stay"), on="patient_key", suffixes=("", "_of_stay"))
    pairs = pairs[
        (pairs["admission_date_of_stay"] < pairs["admission_date"])
        & (pairs["discharge_date"] > pairs["admission_date"])
    ]
    around_claim = pairs.groupby("claim_id")["stay"].agg(list)
    inside = pd.Series(night.index.isin(around_claim.index), night.index)
    begun = night["overlap_died"].eq(False) & night["overlap_visit"].eq(False) & night["overlap_weekday"].isna()
    assert (begun == inside).all()
    places = set()
    for row, figures in with_reason(night[begun], "overlap"):
        around = night.loc[around_claim[row["claim_id"]]]
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


def test_the_patient_walked_into_that_clinic(night: pd.DataFrame) -> None:
    stays = night[night["service_type"] == "RITL"].reset_index(drop=True)
    visits = night[(night["service_type"] == "RJTL") & night["overlap_of"].notna() & night["overlap_died"].eq(False)]
    held = visits.groupby("overlap_of").agg(ids=("claim_id", set), first=("overlap_day", "min"))
    visited = stays["claim_id"].isin(held.index) & (stays["overlap_of"].isna() | stays["overlap_visit"].eq(True))
    assert (stays["overlap_visit"].eq(True) == visited).all()
    told_of = with_reason(night[night["overlap_visit"].eq(True)], "overlap")
    assert len(told_of) >= 3
    for row, figures in told_of:
        visit = night.loc[figures["overlap_of"]]
        assert visit["claim_id"] in held.loc[row["claim_id"], "ids"]
        assert figures["overlap_day"] == held.loc[row["claim_id"], "first"]
        assert figures["overlap_day"] == (visit["admission_date"] - row["admission_date"]).days
        assert row["admission_date"] < visit["admission_date"] < row["discharge_date"]
        assert figures["overlap_elsewhere"] == (visit["facility_key"] != row["facility_key"])
        alike = stays["base"] == row["base"]
        assert figures["overlap_n"] == alike.sum()
        assert figures["overlap_alike"] == (alike & stays["claim_id"].isin(held.index)).sum()
        assert f"(claim {figures['overlap_of']}) during this stay (LOS {days(row['los'])})" in told(row, "overlap")


def test_a_single_visit_is_the_patients_only_claim_with_its_diagnosis(night: pd.DataFrame) -> None:
    claims = night.reset_index(drop=True)
    single = claims.groupby(["patient_key", "primary_diagnosis"])["claim_id"].transform("size") == 1
    visits = claims[claims["service_type"] == "RJTL"].assign(single=single)
    for row, figures in with_reason(night, "single_visit"):
        assert single[claims["claim_id"] == row["claim_id"]].all()
        others = visits[
            (visits["primary_diagnosis"] == row["primary_diagnosis"]) & (visits["facility_key"] != row["facility_key"])
        ]
        assert (figures["single_alike"], figures["single_n"]) == (others["single"].sum(), len(others))
        assert row["single_share"] == pytest.approx((figures["single_alike"] + 0.5) / (figures["single_n"] + 1))
        alike = f"{figures['single_alike']:,}" if figures["single_alike"] else "none"
        assert f"{alike} of {figures['single_n']:,} visits" in told(row, "single_visit")
