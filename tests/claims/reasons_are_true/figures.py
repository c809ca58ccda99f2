"""A scored year, and figures of its claims computed by other code than the statements under include/sql."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.sample import GeneratorConfig, Sample, generate, write
from ml.settings import Settings
from tests.claims.test_reasons import scored

PROBABILITIES = ("upcoding", "short_stay", "topup", "repeat", "fragmentation", "overlap", "single_visit")
"""Channels whose evidence is how usual something is among the claim's peers, and the provider's habit."""


def scored_year(folder: Path, config: GeneratorConfig, sundays: int = 0, copies: int = 0) -> pd.DataFrame:
    """A generated year, scored; with the discharge status and the set of secondary diagnoses from the raw files."""
    sample = generate(config)
    if sundays:
        sample = replace(sample, visits=with_sundays(sample.visits, sundays))
    if copies:
        sample = with_copies(sample, copies)
    write(sample, folder / "raw", "parquet", folder / "labels.parquet")
    settings = Settings(
        _env_file=None, CLAIMS_INSTANCE_DIR=folder / "instance", CLAIMS_RAW_DIR=folder / "raw",
        CLAIMS_PATIENT_KEY_SECRET="a-secret-for-the-tests",
    )  # fmt: skip
    claims = scored(settings)
    with duckdb.connect(settings.warehouse, read_only=True) as warehouse:
        misfits = warehouse.sql("SELECT claim_id, price_ln_misfit FROM evidence").df()
    claims["price_ln_misfit"] = misfits.set_index("claim_id")["price_ln_misfit"]
    (visits,) = (folder / "raw").glob("*fkrtl*")
    (diagnoses,) = (folder / "raw").glob("*diagnosissekunder*")
    claims["discharge_status"] = pq.read_table(visits).to_pandas().set_index("FKL02")["FKL14"]
    secondary = (
        pq.read_table(diagnoses).to_pandas().groupby("FKL02")["FKL24"].agg(lambda codes: tuple(sorted(set(codes))))
    )
    claims["secondary"] = [secondary.get(claim_id, ()) for claim_id in claims.index]
    claims["base"] = claims["inacbg_code"].map(base)
    return claims


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


def with_copies(sample: Sample, count: int) -> Sample:
    """Code so many stays of the facility with most stays as one of them that has secondary diagnoses."""
    rows, secondary = sample.visits.to_pandas(), sample.diagnoses.to_pandas()
    stays = rows[(rows["FKL10"] == 2) & ~rows["FKL19"].str.startswith("P-")].drop_duplicates("PSTV01")
    facility = stays["FKL02"].str.extract(r"^(\d+)\d{4}V")[0]
    own = stays[facility == facility.mode()[0]]
    model = own[own["FKL02"].isin(secondary["FKL02"])].index[0]
    others = own.index.drop(model)[:count]
    coding = [f"FKL{n}{suffix}" for n in (15, 16, 17, 18, 19) for suffix in ("", "A")]
    coding += ["FKL20", "FKL21", "FKL22", "FKL23", "FKL30"]
    for column in coding:
        rows.loc[others, column] = rows.loc[model, column]
    copied = rows.loc[others, "FKL02"]
    texts = secondary[secondary["FKL02"] == rows.loc[model, "FKL02"]]
    kept = secondary[~secondary["FKL02"].isin(copied)]
    secondary = pd.concat([kept, *(texts.assign(FKL02=claim_id) for claim_id in copied)])
    return replace(
        sample,
        visits=pa.Table.from_pandas(rows, schema=sample.visits.schema, preserve_index=False),
        diagnoses=pa.Table.from_pandas(secondary, schema=sample.diagnoses.schema, preserve_index=False),
    )


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


def told(row: pd.Series, code: str) -> str:
    (text,) = [str(reason["text_en"]) for reason in row["reasons"] if reason["code"] == code]
    return text


def base(inacbg: str) -> str:
    return inacbg.rsplit("-", 1)[0]


def above_words(times: float) -> str:
    return f"{times:.1f}x" if times >= 1.1 else f"{100 * (times - 1):.1f}% above"


def days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"


def deviations_above(night: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How many of the peers' standard deviations a bill is above their median, and above its own tariff."""
    wide, tariff = night["price_level"] > 2, night["tariff_ln_ratio"]
    usual = night["price_median"] * np.exp(night["own_ln_ratio"]) + night["topup_amount"]
    above = np.log(night["amount_claimed"] / usual)
    half = np.where(tariff.abs() <= 0.01, 0.5, 1)
    by_peers = above * half / np.hypot(np.hypot(night["price_ln_spread"], night["price_ln_misfit"]), 0.05)
    by_tariff = tariff / np.hypot(np.where(wide, 0, night["price_ln_spread"]), 0.05)
    return by_peers.where((above > 0.01) & ~wide), by_tariff.where(tariff > 0.01)


def shown_patterns(night: pd.DataFrame) -> pd.DataFrame:
    """Which claims show each pattern of a provider's habits, from their figures."""
    count, expected = night["clone_count"].fillna(0), night["clone_expected"].fillna(1)
    clone = count * np.log(count.clip(lower=1) / expected) - (count + 10) * np.log((count + 10) / (expected + 10))
    clone = clone.where(count > expected, 0)
    clone *= np.where(night["repeat_after_days"] > 0, 0.5, 1)
    wide = night["price_level"] > 2
    at_tariff = (night["price_level"] <= 2) & (night["tariff_ln_ratio"].abs() <= 0.01)
    of_facility = night["price_ln_ratio"].where(at_tariff).groupby([night["facility_key"], night["service_type"]])
    usual = of_facility.transform("median").where(of_facility.transform("count") >= 10).clip(lower=0).fillna(0)
    for days in (0, 15):  # a calendar month, and from the 16th to the 15th
        month = (pd.to_datetime(night["discharge_date"]) - pd.Timedelta(days=days)).dt.to_period("M")
        at_that_time = night["price_ln_ratio"].where(at_tariff).groupby([night["facility_key"], month])
        enough = at_that_time.transform("count") >= 10
        usual = np.fmax(usual, at_that_time.transform("median").where(enough))
    usual = usual.where(~wide, 0)
    assert night["own_ln_ratio"].to_numpy() == pytest.approx(usual.to_numpy(), abs=1e-9)
    by_peers, by_tariff = deviations_above(night)
    return pd.DataFrame(
        {
            "severity": (night["severity_level"].fillna(1) - 1).clip(lower=0),
            "dearer_code": night["admission_price_ratio"] > 1.1,
            "inflated_bill": (np.fmax(by_peers, by_tariff) > 1) & ~(night["tariff_ln_ratio"] <= 0.01),
            "short_stay": night["los_share_low"] < math.exp(-3),
            "topup": night["topup_share"] < math.exp(-3),
            "repeat": night["repeat_share"] < math.exp(-2),
            "fragmentation": fragment_evidence(night) > 0,
            "overlap": night["overlap_of"].notna() | night["overlap_weekday"].notna(),
            "clone": (clone > 10) | (copied_stays(night)["evidence"].where(night["copy_count"].notna()) > 4),
            "single_visit": -np.log(night["single_share"]) * near_the_end(night["admission_date"]) > 2.5,
        }
    ).astype(float)


def copied_stays(night: pd.DataFrame) -> pd.DataFrame:
    """Of each stay: patients elsewhere with its coding, and with its INA-CBG and diagnosis; those expected; share."""
    stays = night[(night["service_type"] == "RITL") & ~night["inacbg_code"].str.startswith("P-")]
    facility, patient = stays["facility_key"], stays["patient_key"]
    treatment = ["inacbg_code", "primary_diagnosis"]
    treated = stays.groupby(treatment, dropna=False).ngroup()
    text = [*treatment, "admission_diagnosis", "secondary", "procedure_codes"]
    coding = stays.groupby(text, dropna=False).ngroup()

    def patients(*by: pd.Series) -> pd.Series:
        return patient.groupby(list(by)).transform("nunique")

    # A patient of two facilities is one of each, and of each coding.
    coded = pd.DataFrame({"facility": facility, "coding": coding, "treated": treated, "patient": patient})
    coded = coded.drop_duplicates(["facility", "coding", "patient"])
    by_coding, by_treated = coded.groupby("coding").size(), coded.groupby("treated").size()
    here = coded.groupby(["facility", "treated"]).size()
    treated_here = pd.Series(here.loc[list(zip(facility, treated, strict=True))].to_numpy(), stays.index)
    others = patients(facility, coding)
    found = pd.DataFrame({"elsewhere": coding.map(by_coding) - others, "n": treated.map(by_treated) - treated_here})
    found["expected"] = (treated_here - 1) * (found["elsewhere"] + 0.5) / (found["n"] + 10)
    count, expected = (others - 1).clip(upper=3), found["expected"]
    deviance = (count * np.log(count.clip(lower=1) / expected) - (count - expected)).where(count > expected, 0)
    as_odd = deviance.rank(method="max", ascending=False)
    as_odd_here = deviance.groupby(facility).rank(method="max", ascending=False)
    found["share"] = (as_odd - as_odd_here + 1) / (len(stays) - facility.groupby(facility).transform("size") + 10)
    odd = (deviance > 0) & (found["share"] < 0.05)
    own_share = odd.groupby(facility).transform("sum") / (treated_here > 1).groupby(facility).transform("sum")
    coded = stays.assign(expected=expected).groupby([facility, coding])["expected"].agg(["first", "size"])
    coded = coded[coded["first"] > 0]  # of a single patient nobody can be a copy
    first = coded["first"].to_numpy()
    # One, two, three or more others by chance, and how odd they would be.
    chances = [np.exp(-first) * first, np.exp(-first) * first**2 / 2]
    chances.append(1 - np.exp(-first) - sum(chances))
    odder = [np.where(n > first, n * np.log(n / first) - (n - first), 0) for n in (1, 2, 3)]
    by_chance = [sum((p * coded["size"])[o >= d].sum() for p, o in zip(chances, odder, strict=True)) for d in deviance]
    chance = (np.array(by_chance) + 0.5) / (as_odd + 0.5)
    weight = (1.7 - 2 * chance).clip(0, 1) * (3.5 - 5 * own_share).clip(0, 1)
    found["evidence"] = (-weight * np.log(found["share"])).where(odd, 0)
    return found.reindex(night.index)


def fragment_evidence(night: pd.DataFrame) -> pd.Series:
    """Nats, before the provider's habit: how unusual, how far apart, coded alike or anew, too long together."""
    gap, by = night["fragment_gap_days"].astype(float), night["fragment_by"]
    alike = night["fragment_same"].eq(True).fillna(False)
    coding = np.where(alike, 1, np.where(by == "stay", -1, 0))
    share = night["fragment_share"].where(by != "admission", 0.05)
    return -np.log(share) - 0.15 * gap - (gap > 2) + coding - night["fragment_long"].eq(True).fillna(False)


def near_the_end(admitted: pd.Series) -> pd.Series:
    """The days to the nearer end of the file, 30 as one; without the first and the last hundredth of its claims."""
    day = admitted.map(lambda date: date.toordinal())
    first, last = (day.quantile(share, interpolation="lower") for share in (0.01, 0.99))
    return np.minimum(day - first, last - day).clip(0, 30) / 30


def strong(night: pd.DataFrame) -> pd.Series:
    """Which claims show strong evidence of some pattern."""
    probable = night[[f"evidence_{code}" for code in PROBABILITIES]].max(axis=1)
    other = night[["evidence_inflated_bill", "evidence_clone"]].max(axis=1)
    return ((probable >= 5) | (other >= 8)).astype(float)
