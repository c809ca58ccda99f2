"""The evidence of each typology, on hand-made claims: an honest crowd, and a few that do one thing each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.claims.etl import find_claims, publish_claims, run_sql_steps, start_build
from ml.sample.config import FRAUD_TYPES, GeneratorConfig
from ml.sample.files import write
from ml.sample.generate import generate
from ml.settings import Settings
from tests.claims.conftest import (
    ANTENATAL,
    DATA_DATE,
    FACILITIES,
    ULTRASOUND,
    Claims,
    claim,
    claim_id,
    crowd,
    diagnosis,
    others,
    outpatient,
)

CHANNELS = (
    "upcoding", "inflated_bill", "short_stay", "topup", "repeat", "fragmentation", "overlap", "clone", "single_visit",
)  # fmt: skip


def test_an_honest_crowd_shows_nothing(compared: Callable[..., Claims]) -> None:
    for row in compared(crowd()).values():
        assert (row["price_level"], row["price_n"], round(row["price_median"])) == (1, 200, 2_500_000)
        assert row["price_per_day"] == pytest.approx(2_500_000 / 3)
        assert row["los_share_low"] == 0.5
        assert row["excess_amount"] == 0
        evidence = {name: row[f"evidence_{name}"] for name in CHANNELS}
        assert evidence.pop("short_stay") == pytest.approx(math.log(2)), "half of the stays are shorter, by mid-rank"
        assert set(evidence.values()) == {0}


def test_a_short_stay_at_full_cost(compared: Callable[..., Claims]) -> None:
    claims = compared([*crowd(), claim(900, FKL03="2022-09-04", FKL30="9999 - else")])
    odd = claims[claim_id(900)]
    assert odd["los_share_low"] == pytest.approx(0.5 / 201)
    assert odd["evidence_short_stay"] == 5, "capped: -ln(0.5 / 201) would be 6"
    assert max(row["evidence_short_stay"] for row in others(claims, claim_id(900))) < 0.8


def test_who_is_referred_leaves_early_as_others_who_are(compared: Callable[..., Claims]) -> None:
    referred = [
        claim(n, FKL14="2", FKL03="2022-09-03", FKL30=f"{n} - x", FKL02=claim_id(n, FACILITIES[n % 4]))
        for n in range(300, 350)
    ]
    claims = compared([*crowd(), *referred])
    assert claims[claim_id(300, FACILITIES[0])]["los_share_low"] == 0.5


def test_severity_that_the_stay_does_not_show(compared: Callable[..., Claims]) -> None:
    heavy = [
        claim(
            n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL19="A-4-14-III", FKL04=f"2022-09-{10 + n % 3}", FKL30=f"{n} - x"
        )
        for n in range(300, 340)
    ]
    raised = claim(900, FKL19="A-4-14-III", FKL04="2022-09-03", FKL30="9999 - else")
    claims = compared([*crowd(), *heavy, raised])
    odd, honest = claims[claim_id(900)], claims[claim_id(300, FACILITIES[0])]
    assert odd["severity_share"] < 0.02 < 0.5 < honest["severity_share"]
    assert odd["evidence_upcoding"] > 4 > honest["evidence_upcoding"] + 2
    assert claims[claim_id(0)]["evidence_upcoding"] == 0, "ringan is nothing to code up to"


def test_a_longer_stay_bears_a_severity_out(compared: Callable[..., Claims]) -> None:
    """By 1.25 of its evidence for the shortest stay of its kind to 0.55 for the longest; the provider has no habit."""
    days = [2, 2, 2, 2, 3, 3, 3, 3, 9, 9, 9, 9, 9, 9, 9, 9]  # of the discharge
    heavy = [
        claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL19="A-4-14-III", FKL04=f"2022-09-{day:02d}", FKL30=f"{n} - x")
        for n, day in enumerate(days, start=300)
    ]
    claims = compared([*crowd(), *heavy])
    rows = [claims[claim_id(n, FACILITIES[n % 4])] for n in (300, 304, 308)]
    assert [row["los_share_low"] for row in rows] == [0.125, 0.375, 0.75]
    habit = math.log((8 - 2 + 10) / (8 + 10))
    for row, weight in zip(rows, (1.1625, 0.9875, 0.725), strict=True):
        evidence = weight * (-math.log(row["severity_share"]) + 3 * habit)
        assert row["evidence_upcoding"] == pytest.approx(evidence)
        assert evidence > 0.1


def test_severity_that_the_secondary_diagnoses_do_not_bear_out(compared: Callable[..., Claims]) -> None:
    """As long a stay as the heavy ones have, but they have five secondary diagnoses each and this one has none."""
    ids = [claim_id(n, FACILITIES[n % 4]) for n in range(300, 340)]
    longer = {"FKL19": "A-4-14-III", "FKL03": "2022-09-01", "FKL04": "2022-09-12"}
    heavy = [claim(n, FKL02=key, FKL30=f"{n} - x", **longer) for n, key in enumerate(ids, start=300)]
    ill = [{**diagnosis(0, f"E1{code}9"), "FKL02": key} for key in ids for code in range(5)]
    claims = compared([*crowd(), *heavy, claim(900, FKL30="9999 - else", **longer)], ill)
    odd, honest = claims[claim_id(900)], claims[ids[0]]
    assert odd["los_share_low"] == honest["los_share_low"], "nothing is odd about the stay"
    assert odd["severity_share"] < 0.3 < 0.9 < honest["severity_share"]
    assert odd["evidence_upcoding"] > honest["evidence_upcoding"] + 1


def beyond_one_in_ten_twice(nats: float) -> float:
    return nats + max(nats - math.log(10), 0)


def test_a_dearer_group_than_the_admission_diagnosis_leads_to(compared: Callable[..., Claims]) -> None:
    dear = {"FKL19": "A-4-10-I", "FKL32": "5000000", "FKL47": "5000000", "FKL18": "A419", "FKL17A": "A41"}
    sepsis = [
        claim(n, **dear, FKL16="A419", FKL30=f"{n} - x", FKL02=claim_id(n, FACILITIES[n % 4])) for n in range(300, 340)
    ]
    claims = compared([*crowd(), *sepsis, claim(900, **dear, FKL30="9999 - else")])
    odd = claims[claim_id(900)]
    assert odd["admission_share"] == pytest.approx(0.5 / 201)
    assert odd["admission_price_ratio"] == pytest.approx(2)
    assert odd["evidence_upcoding"] == pytest.approx(beyond_one_in_ten_twice(-math.log(0.5 / 200)))
    assert claims[claim_id(300, FACILITIES[0])]["evidence_upcoding"] == 0


def test_one_of_many_that_came_a_rare_way_is_nothing_odd(compared: Callable[..., Claims]) -> None:
    """Where the admission diagnosis is a slip, each came another way: all are counted that are as rare, and dearer."""
    priced = {"A-4-10": "5000000", "B-4-10": "6000000", "C-4-10": "7000000", "D-4-10": "4000000", "E-4-10": "1000000"}
    rare = [
        claim(900 + n, FKL19=f"{code}-I", FKL32=price, FKL47=price, FKL30=f"{n} - x")
        for n, (code, price) in enumerate(priced.items())
    ]
    twice = claim(910, FKL19="D-4-10-I", FKL32="4000000", FKL47="4000000", FKL30="10 - x")
    claims = compared([*crowd(), *rare, twice])
    once = claims[claim_id(900)]
    assert (once["admission_alike"], once["admissions"]) == (1, 206)
    habit = 3 * math.log((5 - 1 + 2) / (once["habit_expected"] + 2))
    assert once["evidence_upcoding"] == pytest.approx(beyond_one_in_ten_twice(-math.log((3 - 0.5) / 200)) + habit)
    commoner = claims[claim_id(903)]
    assert commoner["admission_alike"] == 2
    own = beyond_one_in_ten_twice(-math.log((3 + 2 - 0.5) / 200))
    assert commoner["evidence_upcoding"] == pytest.approx(own + habit)
    assert claims[claim_id(904)]["evidence_upcoding"] == 0, "a cheaper one is not coded up"


def test_an_outpatient_group_that_hardly_comes_with_its_diagnosis(compared: Callable[..., Claims]) -> None:
    """200 visits for hypertension, 100 ultrasounds of pregnancies, and one ultrasound for hypertension.

    And one of a pregnant woman who came with hypertension: what she was treated for counts.
    """
    usual = [outpatient(n) for n in range(200)]
    pregnant = [outpatient(n, **ULTRASOUND, **ANTENATAL) for n in range(300, 400)]
    came_with = outpatient(904, **ULTRASOUND, **(ANTENATAL | {"FKL16": "I10"}))
    claims = compared([*usual, *pregnant, came_with, outpatient(900, **ULTRASOUND)])
    odd = claims[claim_id(900, FACILITIES[0])]
    assert (odd["admission_alike"], odd["admissions"]) == (1, 201)
    assert odd["admission_price_ratio"] == pytest.approx(400 / 190)
    few_facilities = -math.log((1 - 0.5) / 4) / 3
    assert odd["evidence_upcoding"] == pytest.approx(beyond_one_in_ten_twice(-math.log(0.5 / 200) * few_facilities))
    assert odd["upcoding_by"] == "diagnosis"
    assert {row["evidence_upcoding"] for row in others(claims, odd["claim_id"])} == {0}


def test_where_many_facilities_bill_so_it_is_a_practice(compared: Callable[..., Claims]) -> None:
    usual = [outpatient(n) for n in range(400)]
    pregnant = [outpatient(n, **ULTRASOUND, **ANTENATAL) for n in range(400, 600)]
    here = [outpatient(n, at=str(FACILITIES[0]), **ULTRASOUND) for n in range(900, 904)]
    everywhere = [outpatient(n, at=str(FACILITIES[n % 4]), **ULTRASOUND) for n in range(900, 904)]
    one = compared([*usual, *pregnant, *here])[claim_id(900, FACILITIES[0])]["evidence_upcoding"]
    all_four = compared([*usual, *pregnant, *everywhere])[claim_id(900, FACILITIES[0])]["evidence_upcoding"]
    assert one > 4 * all_four > 0


def test_a_rare_procedure_goes_with_the_common_diagnoses(compared: Callable[..., Claims]) -> None:
    """Three ultrasounds in all, for the diagnosis that most visits have: no oddity, however rare."""
    visits = [outpatient(n) for n in range(200)]
    claims = compared([*visits, *(outpatient(n, **ULTRASOUND) for n in range(901, 904))])
    assert claims[claim_id(901, FACILITIES[1])]["evidence_upcoding"] == 0


def test_a_provider_that_bills_many_dearer_groups(compared: Callable[..., Claims]) -> None:
    """Each of four facilities bills four such stays, one eight more; of who came with sepsis they are no oddity."""
    dear = {"FKL19": "A-4-10-I", "FKL32": "5000000", "FKL47": "5000000", "FKL18": "A419", "FKL17A": "A41"}
    sepsis = [
        claim(n, **dear, FKL16="A419", FKL30=f"{n} - x", FKL02=claim_id(n, FACILITIES[n % 4])) for n in range(300, 400)
    ]
    some = [claim(n, **dear, FKL30=f"{n} - x", FKL02=claim_id(n, FACILITIES[n % 4])) for n in range(900, 916)]
    many = [claim(n, **dear, FKL30=f"{n} - x") for n in range(920, 928)]
    claims = compared([*crowd(), *sepsis, *some, *many])
    own = -math.log((24 - 0.5) / 200)
    expected = (50 + 12) * 24 / 224
    habit = math.log((12 - 1 + 2) / (expected + 2))
    for number in (900, 920):
        odd = claims[claim_id(number)]
        assert odd["evidence_upcoding"] == pytest.approx(beyond_one_in_ten_twice(own) + 3 * habit)
        assert (odd["upcoding_by"], odd["habit_pattern"]) == ("admission", "dearer_code")
        assert (odd["habit_observed"], odd["habit_expected"]) == (12, pytest.approx(expected))
    elsewhere = claims[claim_id(901, FACILITIES[1])]
    assert elsewhere["evidence_upcoding"] == pytest.approx(beyond_one_in_ten_twice(own)), "no habit of it there"
    assert (elsewhere["habit_pattern"], claims[claim_id(300)]["evidence_upcoding"]) == (None, 0)


@pytest.mark.parametrize("procedures", [("", "-"), ("9394 - x", "9394 - x")])
def test_a_bill_is_the_same_however_no_procedure_is_written(
    compared: Callable[..., Claims], procedures: tuple[str, str]
) -> None:
    first, second = procedures
    twice = [claim(900, PSTV01="7", FKL30=first), claim(901, PSTV01="7", FKL30=second, FKL03="2022-09-02")]
    assert compared([*crowd(), *twice])[claim_id(901)]["repeat_identical"] is True


def test_a_dear_bill_makes_no_dear_inacbg(compared: Callable[..., Claims]) -> None:
    """What an INA-CBG costs is told by all its claims, not by the one that came to it in a rare way."""
    cheaper = [
        claim(700 + n, FKL16="K350", FKL19="K-1-20-I", FKL32="2400000", FKL47="2400000", FKL30=f"{n} - x")
        for n in range(60)
    ]
    odd = claim(900, FKL19="K-1-20-I", FKL32="2400000", FKL47="9000000", FKL30="900 - x")
    row = compared([*crowd(600), *cheaper, odd])[claim_id(900)]
    assert row["admission_price_ratio"] == pytest.approx(0.96)
    assert (row["upcoding_by"], row["evidence_inflated_bill"] > 5) == (None, True)


def test_a_longer_severe_stay_is_not_less_likely_severe(compared: Callable[..., Claims]) -> None:
    """Even where the light stays are of very different lengths, and the severe ones all alike."""
    start = date(2022, 3, 1)

    def stay(number: int, level: str, los: int) -> dict[str, str]:
        until = f"{start + timedelta(days=los)}"
        fields = {"FKL03": f"{start}", "FKL04": until, "FKL19": f"A-4-14-{level}", "FKL30": f"{number} - x"}
        return claim(number, FKL02=claim_id(number, FACILITIES[number % 4]), **fields)

    light = [stay(n, "I", (1, 2, 3, 5, 8, 13, 21, 34)[n % 8]) for n in range(200)]
    severe = [stay(200 + n, "III", (9, 10, 11)[n % 3]) for n in range(30)]
    asked = [stay(900 + los, "III", los) for los in (2, 10, 25, 40, 60)]
    claims = compared([*light, *severe, *asked])
    at = [claims[claim_id(900 + los, FACILITIES[(900 + los) % 4])]["severity_share"] for los in (2, 10, 25, 40, 60)]
    assert at == sorted(at)
    assert at[0] < at[1] < at[-1]


def test_a_symptom_at_admission_says_nothing_about_the_code(compared: Callable[..., Claims]) -> None:
    def led_to(number: int, code: str, price: str) -> dict[str, str]:
        own = {"FKL16": "R104", "FKL19": f"{code}-I", "FKL32": price, "FKL47": price, "FKL30": f"{number} - x"}
        return claim(number, FKL02=claim_id(number, FACILITIES[number % 4])) | own

    codes = {"K-4-17": "1000000", "N-4-10": "1500000", "K-4-18": "2000000"}
    everywhere = [
        led_to(300 + 40 * place + n, code, codes[code]) for place, code in enumerate(codes) for n in range(40)
    ]
    claims = compared([*crowd(), *everywhere, led_to(900, "K-1-20", "9000000")])
    assert claims[claim_id(900)]["upcoding_by"] is None
    usual = [led_to(500 + n, "K-4-17", "1000000") for n in range(200)]
    claims = compared([*crowd(), *everywhere, *usual, led_to(900, "K-1-20", "9000000")])
    assert claims[claim_id(900)]["upcoding_by"] == "admission", "most lead to one code"


def test_who_dies_early_is_no_short_stay_and_not_coded_up(compared: Callable[..., Claims]) -> None:
    heavy = [
        claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL19="A-4-14-III", FKL04="2022-09-11", FKL30=f"{n} - x")
        for n in range(300, 340)
    ]
    early = {"FKL19": "A-4-14-III", "FKL04": "2022-09-02", "FKL30": "9999 - else"}
    died = claim(900, **early, FKL14="4")
    home = claim(901, **early | {"FKL30": "9998 - else"})
    claims = compared([*crowd(), *heavy, died, home])
    assert claims[claim_id(900)]["usual_exit"] is False
    assert claims[claim_id(900)]["evidence_short_stay"] < claims[claim_id(901)]["evidence_short_stay"]
    assert claims[claim_id(900)]["evidence_upcoding"] < 0.5 * claims[claim_id(901)]["evidence_upcoding"]


def test_a_provider_that_does_it_often_makes_each_case_weigh_more(compared: Callable[..., Claims]) -> None:
    inflated = {"FKL47": "2900000"}
    habitual = [claim(n, **inflated, FKL30=f"{n} - x") for n in range(900, 912)]
    lone = claim(950, FKL02=claim_id(950, 8188), **inflated, FKL30="950 - x")
    claims = compared([*crowd(), *habitual, lone])
    often, once = claims[claim_id(900)], claims[claim_id(950, 8188)]
    assert often["price_ln_ratio"] == once["price_ln_ratio"]
    of_case, of_provider = 13 / 213, 62
    habit = math.log((12 - 1 + 2) / (of_provider * of_case + 2))
    of_a_visit = 0.5 * math.log(1.16) / 0.05 - math.log(once["bill_share"])
    assert once["evidence_inflated_bill"] == pytest.approx(1.25 * of_a_visit), "a stay's says a quarter more"
    assert often["evidence_inflated_bill"] == pytest.approx(once["evidence_inflated_bill"] + 1.25 * 1.5 * habit)


@pytest.mark.parametrize(("low_bills", "counted"), [(0, 11), (3, 5), (6, 0)])
def test_who_errs_both_ways_has_less_of_a_habit(compared: Callable[..., Claims], low_bills: int, counted: int) -> None:
    high = [claim(n, FKL47="2900000", FKL30=f"{n} - x") for n in range(900, 912)]
    low = [claim(n, FKL47="2100000", FKL30=f"{n} - x") for n in range(920, 920 + low_bills)]
    lone = claim(950, FKL02=claim_id(950, 8188), FKL47="2900000", FKL30="950 - x")
    claims = compared([*crowd(), *high, *low, lone])
    often, once = claims[claim_id(900)], claims[claim_id(950, 8188)]
    expected = (62 + low_bills) * 13 / (213 + low_bills)
    habit = max(math.log((counted + 2) / (expected + 2)), 0)
    more = often["evidence_inflated_bill"] - once["evidence_inflated_bill"]
    assert more == pytest.approx(1.25 * 1.5 * habit, abs=1e-6)
    [patterns] = [row["provider_patterns"] for row in others(claims, claim_id(950, 8188))
                  if row["facility_key"] == often["facility_key"] and row["provider_patterns"]]  # fmt: skip
    [of_bills] = [pattern for pattern in patterns if pattern["pattern"] == "inflated_bill"]
    counted = max(12 - 2 * low_bills, 0)
    ratio = (counted + 2) / (expected + 2)
    assert (of_bills["observed"], of_bills["ratio"]) == (12, pytest.approx(ratio))
    deviance = counted * math.log(ratio) - (ratio - 1) * expected
    assert of_bills["deviance"] == pytest.approx(deviance if ratio > 1 else 0, abs=1e-6)


def write_sample(folder: Path, claims: int) -> tuple[Any, Any]:
    sample = generate(GeneratorConfig(claims=claims, seed=3))
    write(sample, folder, "parquet", folder.parent / "labels.parquet")
    return sample.visits, sample.labels


def test_each_fraud_type_is_found_by_its_channel(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    """On generated claims each channel ranks the claims of its type far above the others (the median claim: 0.5).

    Of fragments the stays: too few visits are split here for any facility to stand out.
    """
    _, labels = write_sample(tmp_path / "raw", 40_000)
    settings = make_settings(CLAIMS_RAW_DIR=str(tmp_path / "raw"))
    build, _ = start_build(settings, DATA_DATE, "test")
    run_sql_steps(settings, build)
    path = publish_claims(settings, build).path
    least = dict(zip(FRAUD_TYPES, (0.8, 0.75, 0.85, 0.95, 0.95, 0.95, 0.95), strict=True))
    found = dict(zip(FRAUD_TYPES, ("upcoding", "short_stay", "repeat", "clone", "inflated_bill", "fragmentation",
                                   "topup"), strict=True))  # fmt: skip
    with duckdb.connect() as connection:
        connection.register("labels", labels)
        for fraud_type, channel in found.items():
            ranked = connection.execute(
                f"""WITH ranked AS (
                        SELECT
                            fraud_type,
                            service_type,
                            (
                                rank() OVER (ORDER BY evidence_{channel})
                                + count(*) OVER (PARTITION BY evidence_{channel}) / 2
                            ) / count(*) OVER () AS place
                        FROM read_parquet($path) INNER JOIN labels USING (claim_id)
                    )
                    SELECT avg(place) FROM ranked WHERE fraud_type = $fraud_type
                    AND NOT (fraud_type = 'fragmentation' AND service_type = 'RJTL')""",
                {"path": str(path), "fraud_type": fraud_type},
            ).fetchall()[0][0]
            assert ranked > least[fraud_type], fraud_type


def test_features_do_not_depend_on_row_order_or_threads(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    visits, _ = write_sample(tmp_path / "raw", 5_000)
    rng = random.Random(1)  # noqa: S311
    hashes = set()
    for threads in ("1", "2", "2"):
        order = rng.sample(range(visits.num_rows), visits.num_rows)
        duckdb.register("shuffled", visits.take(order))
        duckdb.sql("FROM shuffled").write_parquet(str(tmp_path / "raw" / "sample_fkrtl.parquet"))
        settings = make_settings(CLAIMS_THREADS=threads, CLAIMS_RAW_DIR=str(tmp_path / "raw"))
        build, _ = start_build(settings, DATA_DATE, "test")
        run_sql_steps(settings, build)
        publish_claims(settings, build)
        hashes.add(find_claims(settings).sha256)
    assert len(hashes) == 1
