"""Cloned claims: the same text at the same amount, for several patients of one facility."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id, crowd, outpatient


def test_one_text_pasted_for_several_patients(compared: Callable[..., Claims]) -> None:
    same = {"FKL30": "1234 - the same", "FKL03": "2022-09-10", "FKL04": "2022-09-13"}
    clones = [claim(n, **same) for n in range(900, 905)]
    # Admitted with another diagnosis, or it would be a copied stay (test_copied_stays.py).
    before = claim(910, FKL30="1234 - the same", FKL16="A011", FKL03="2022-07-10", FKL04="2022-07-13")
    claims = compared([*crowd(), *clones, before])
    odd = claims[claim_id(900)]
    assert odd["clone_count"] == 4, "the one two months before is not of the same month"
    days = (date(2022, 9, 10) - date(2022, 1, 1)).days + 1
    # On the file's last day, so within the month before.
    assert odd["clone_expected"] == pytest.approx(56 * 31 / days * 0.5 / 160), "nobody elsewhere has this text"
    deviance = _deviance(4, odd["clone_expected"])
    habit = math.log((5 - 1 + 2) / (5 * 56 / 206 + 2))
    assert odd["evidence_clone"] == pytest.approx(deviance + 1.5 * habit)
    assert claims[claim_id(910)]["evidence_clone"] == 0


def test_who_had_that_care_before_is_hardly_a_clone(compared: Callable[..., Claims]) -> None:
    """Those who are followed up together are billed alike."""
    same = {"FKL30": "1234 - the same", "FKL03": "2022-09-10", "FKL04": "2022-09-13"}
    clones = [claim(n, PSTV01=f"9{n}", **same) for n in range(900, 905)]
    before = claim(
        910,
        FKL02=claim_id(910, 8188),
        PSTV01="9900",
        FKL30="1234 - the same",
        FKL03="2022-05-10",
        FKL04="2022-05-13",
    )
    claims = compared([*crowd(), *clones, before])
    known, other = claims[claim_id(900)], claims[claim_id(901)]
    assert (known["repeat_after_days"], other["repeat_after_days"]) == (123, None)
    assert known["clone_count"] == other["clone_count"] == 4
    expected = known["clone_expected"]
    deviance = _deviance(4, expected)
    assert 10 < deviance < 20, "half of it shows no pattern, so the habit counts in part"
    habit = math.log((4 - 1 + 2) / (4 * 55 / 206 + 2))
    assert other["evidence_clone"] == pytest.approx(deviance + 1.5 * habit)
    habit = math.log((4 + 2) / (4 * 55 / 206 + 2))
    assert known["evidence_clone"] == pytest.approx(deviance / 2 + 1.5 * habit * deviance / 2 / 10)


def test_a_placeholder_had_no_care_before(compared: Callable[..., Claims]) -> None:
    """A number that many facilities bill is nobody's, and the other claims under it are of others."""
    same = {"FKL30": "1234 - the same", "FKL03": "2022-09-10", "FKL04": "2022-09-13"}
    clones = [claim(n, PSTV01="9900" if n == 900 else f"9{n}", **same) for n in range(900, 905)]
    elsewhere = [
        claim(910 + n, FKL02=claim_id(910 + n, 9000 + n), PSTV01="9900", FKL30="1234 - the same", FKL03="2022-05-10",
              FKL04="2022-05-13")
        for n in range(11)
    ]  # fmt: skip
    claims = compared([*crowd(), *clones, *elsewhere])
    assert claims[claim_id(900)]["repeat_after_days"] == 123
    assert claims[claim_id(900)]["evidence_clone"] == claims[claim_id(901)]["evidence_clone"] > 0


@pytest.mark.parametrize("elsewhere", [8, 11, 13])
def test_what_is_expected_anyway_fades_out_as_clones(compared: Callable[..., Claims], elsewhere: int) -> None:
    """From 0.8 expected claims on, so that no claim falls from the list because a day of claims was added."""
    same = [
        claim(n, FKL02=claim_id(n, FACILITIES[1 + n % 3]), FKL30="1234 - the same") for n in range(300, 300 + elsewhere)
    ]
    clones = [claim(n, FKL30="1234 - the same", FKL03="2022-08-30", FKL04="2022-09-02") for n in range(900, 904)]
    odd = compared([*crowd(), *same, *clones])[claim_id(900)]
    expected = 54 * 61 / 244 * (elsewhere + 0.5) / (150 + elsewhere + 10)
    weight = max(min(5 * (1 - expected), 1), 0)
    expected *= 33 / 61  # the file ends on 1 September
    assert {8: weight == 1, 11: 0.4 < weight < 0.5, 13: weight == 0}[elsewhere]
    assert odd["evidence_clone"] == pytest.approx(weight * _deviance(3, expected))


def test_a_facility_that_treats_one_diagnosis_in_the_usual_way_clones_nothing(compared: Callable[..., Claims]) -> None:
    # Elsewhere the crowd has other diagnoses, and the few with this one have the same procedure and price, too.
    dialysis = {"FKL18": "N185", "FKL18A": "N185 Chronic kidney disease", "FKL30": "3995 - haemodialysis"}
    own = [claim(n, **dialysis, FKL03="2022-09-10", FKL04="2022-09-13") for n in range(900, 930)]
    elsewhere = [claim(n, FKL02=claim_id(n, 8188), **dialysis) for n in range(700, 710)]
    claims = compared([*crowd(), *own, *elsewhere])
    assert {claims[claim_id(n)]["evidence_clone"] for n in range(900, 930)} == {0}


@pytest.mark.parametrize("batch", [6, 14, 30])
def test_a_batch_of_clones_is_no_excuse_for_itself(compared: Callable[..., Claims], batch: int) -> None:
    """Nobody else treats that diagnosis, so there is nobody to compare with."""
    alike = {"FKL18": "Z098", "FKL30": "9411 - mental status determination"}
    claims = compared([*crowd(), *(claim(900 + n, **alike) for n in range(batch))])
    one = claims[claim_id(900)]
    assert one["clone_count"] == batch - 1
    assert one["evidence_clone"] > 10


@pytest.mark.parametrize("new_tariff", [13, 7], ids=["one tariff", "another one from July on"])
def test_a_specialist_house_bills_alike_all_the_year_round(compared: Callable[..., Claims], new_tariff: int) -> None:
    control = {"FKL18": "Z098", "FKL30": "9411 - mental status determination"}
    visits = [
        outpatient(
            900 + n, at="8187", **control, FKL03=f"2022-{month:02d}-{1 + n % 6:02d}",
            FKL04=f"2022-{month:02d}-{1 + n % 6:02d}", FKL47="190000" if month < new_tariff else "210000",
        )
        for n, month in enumerate(1 + n // 6 for n in range(72))
    ]  # fmt: skip
    elsewhere = [outpatient(n, at="8188", FKL18="Z098", FKL30=f"{n} - x") for n in range(700, 800)]
    claims = compared([*crowd(), *visits, *elsewhere])
    assert max(claims[claim_id(900 + n)]["evidence_clone"] for n in range(72)) < 1, "10 are a clone"


def test_a_burst_stands_out_where_the_same_care_has_other_amounts_too(compared: Callable[..., Claims]) -> None:
    """Two a month at each of six amounts (ward classes, top-ups), and in June twelve more at one of them."""
    care = {"FKL18": "M545", "FKL30": "9339 - other physical therapy"}

    def visit(number: int, month: int, day: int, amount: int) -> dict[str, str]:
        at = f"2022-{month:02d}-{day:02d}"
        bill = {"FKL32": f"{amount}", "FKL47": f"{amount}"}
        return outpatient(number, at=str(FACILITIES[0]), **care | bill, FKL03=at, FKL04=at)

    steady = [
        visit(1000 + 12 * month + 2 * kind + n, month, 3 + 12 * n, 190_000 + 10_000 * kind)
        for month in range(1, 13) for kind in range(6) for n in range(2)
    ]  # fmt: skip
    burst = [visit(2000 + n, 6, 10 + n, 190_000) for n in range(12)]
    start = date(2022, 1, 1)
    elsewhere = [
        outpatient(
            3000 + n, at=str(FACILITIES[1]), FKL18="M545",
            FKL03=f"{start + timedelta(n % 365)}", FKL04=f"{start + timedelta(n % 365)}",
        )
        for n in range(2190)
    ]  # fmt: skip
    claims = compared([claim(0), *steady, *burst, *elsewhere])
    copies = [claims[visit["FKL02"]] for visit in burst]
    assert min(row["clone_count"] / row["clone_expected"] for row in copies) > 1.8
    assert min(row["evidence_clone"] for row in copies) > 1
    assert max(claims[visit["FKL02"]]["evidence_clone"] for visit in steady[:12]) < 1


@pytest.mark.parametrize("stray", [[], [claim(600, FKL03="2014-06-02", FKL04="2014-06-05", FKL30="9600 - x")]])
def test_a_stray_date_does_not_make_a_year_of_many(compared: Callable[..., Claims], stray: Rows) -> None:
    control = {"FKL18": "Z098", "FKL30": "9411 - mental status determination"}
    days = [f"2022-{1 + n // 8:02d}-{1 + 3 * (n % 8):02d}" for n in range(96)]
    visits = [outpatient(900 + n, at="8187", **control, FKL03=day, FKL04=day) for n, day in enumerate(days)]
    elsewhere = [outpatient(700 + n, at="8188", FKL18="Z098", FKL30=f"{9000 + n} - x") for n in range(100)]
    claims = compared([*crowd(), *visits, *elsewhere, *stray])
    assert len(claims) == 396 + len(stray)
    assert max(row["evidence_clone"] for row in claims.values()) < 1, "10 are a clone"


def test_a_burst_stands_out_at_the_end_of_the_year_too(compared: Callable[..., Claims]) -> None:
    control = {"FKL18": "Z098", "FKL30": "9411 - mental status determination"}

    def burst(month: int) -> float:
        days = [f"2022-{1 + n // 3:02d}-{1 + 9 * (n % 3):02d}" for n in range(36)] + [f"2022-{month:02d}-25"] * 12
        visits = [outpatient(900 + n, at="8187", **control, FKL03=day, FKL04=day) for n, day in enumerate(days)]
        elsewhere = [outpatient(700 + n, at="8188", FKL18="Z098", FKL30=f"{9000 + n} - x") for n in range(100)]
        return float(compared([*crowd(), *visits, *elsewhere])[claim_id(947, 8187)]["evidence_clone"])

    assert burst(12) > 0.5 * burst(6) > 0


@pytest.mark.parametrize(("apart", "alike"), [(30, 1), (31, None)])
def test_clones_are_a_month_apart_at_most(compared: Callable[..., Claims], apart: int, alike: int | None) -> None:
    days = [date(2022, 3, 1), date(2022, 3, 1) + timedelta(apart)]
    same = [claim(900 + n, FKL30="1234 - the same", FKL03=f"{day}", FKL04=f"{day}") for n, day in enumerate(days)]
    claims = compared([*crowd(), *same])
    assert {claims[claim_id(n)]["clone_count"] for n in (900, 901)} == {alike}


@pytest.mark.parametrize(("first", "days"), [(0, 180), (270, 90)], ids=["half a year", "since October"])
def test_a_steady_house_is_no_ring(compared: Callable[..., Claims], first: int, days: int) -> None:
    """Two patients every other day, billed alike as nowhere else, for as long as it treats that diagnosis."""
    start = date(2022, 1, 1)
    house, elsewhere = (
        [
            outpatient(
                number + n, at=at, FKL30=f"{done or 8000 + n} - something", FKL18="M545",
                FKL03=f"{start + timedelta(day)}", FKL04=f"{start + timedelta(day)}",
            )
            for n, day in enumerate(on)
        ]
        for number, at, done, on in (
            (1000, str(FACILITIES[0]), 9339, [first + n for n in range(0, days, 2) for _ in range(2)]),
            (3000, str(FACILITIES[1]), None, [n % (first + days) for n in range(200)]),
        )
    )  # fmt: skip
    claims = compared([*crowd(), *house, *elsewhere])
    middle = claims[claim_id(1000 + len(house) // 2)]
    assert 55 < middle["clone_count"] < 65
    assert middle["clone_expected"] > 0.8 * middle["clone_count"]
    assert max(claims[visit["FKL02"]]["evidence_clone"] for visit in house) < 5


def test_the_same_bill_very_often_is_counted_in_time(compared: Callable[..., Claims]) -> None:
    """By a join of the bills with themselves it would be 36 million pairs."""
    same = {"FKL30": "1234 - the same", "FKL18": "M545"}
    bills = [
        outpatient(10_000 + n, at=str(FACILITIES[0]), **same, FKL03=f"2022-03-{1 + n % 28:02d}", FKL04="2022-03-28")
        for n in range(6000)
    ]
    others = [outpatient(20_000 + n, at=str(FACILITIES[1]), FKL18="M545") for n in range(8000)]
    row = compared([claim(0), *bills, *others])[claim_id(10_000, FACILITIES[0])]
    assert row["clone_count"] == 5999
    assert row["clone_of"] == sorted(bill["FKL02"] for bill in bills[1:])[:4]


def test_a_claim_of_each_other_patient_is_named(compared: Callable[..., Claims]) -> None:
    """Two patients with fifteen such claims each, whose numbers come first, and three with one."""
    same = {"FKL30": "1234 - the same", "FKL18": "M545", "FKL17A": "M54", "FKL04": "2022-10-05"}
    often = [
        outpatient(900 + n, at="8187", PSTV01=f"9{n % 2}", **same, FKL03=f"2022-09-{1 + n // 2:02d}") for n in range(30)
    ]
    once = [outpatient(950 + n, at="8187", **same, FKL03="2022-09-20") for n in range(3)]
    later = outpatient(960, at="8187", **same, FKL03="2022-10-05")
    others = [outpatient(1000 + n, at="8188", FKL18="M545", FKL17A="M54") for n in range(200)]
    claims = compared([*crowd(), *often, *once, later, *others])
    assert claims[claim_id(914)]["clone_count"] == 5
    assert claims[claim_id(914)]["clone_of"] == [claim_id(901), claim_id(950), claim_id(951), claim_id(952)]
    assert claims[claim_id(900)]["clone_count"] == 4
    assert claims[claim_id(900)]["clone_of"] == [claim_id(901), claim_id(950), claim_id(951), claim_id(952)]
    assert claims[claim_id(960)]["clone_count"] == 5
    # Of those with many the first within the month before that is the last or the first of some 31 days.
    first, second, *rest = claims[claim_id(960)]["clone_of"]
    assert {int(first[-6:]) % 2, int(second[-6:]) % 2} == {0, 1}
    assert rest == [claim_id(950), claim_id(951)]


def at_odd_amounts(numbers: range, *, at: int = 8187, tariff: str = "2500000", amount: str = "2572749") -> Rows:
    """Stays of one day with different procedures and diagnoses, all billed so much."""
    return [
        claim(
            n, FKL02=claim_id(n, at), FKL18=f"J1{n % 10}9", FKL30=f"{n} - something of its own", FKL32=tariff,
            FKL47=amount, FKL03="2022-09-10", FKL04="2022-09-13",
        )
        for n in numbers
    ]  # fmt: skip


def test_an_odd_amount_is_enough(compared: Callable[..., Claims]) -> None:
    copies = at_odd_amounts(range(900, 905), at=8191)
    claims = compared([*crowd(), *copies])
    odd = claims[claim_id(900, 8191)]
    assert (odd["clone_by_amount"], odd["clone_count"]) == (True, 4)
    assert odd["clone_of"] == [claim_id(n, 8191) for n in range(901, 905)]
    days = (date(2022, 9, 10) - date(2022, 1, 1)).days + 1
    # On the file's last day, so within the month before.
    assert odd["clone_expected"] == pytest.approx(5 * 31 / days * 0.5 / 10), "nobody else is off the tariff"
    assert odd["evidence_clone"] > _deviance(4, odd["clone_expected"]) > 10
    assert {row["clone_by_amount"] for key, row in claims.items() if row["amount_claimed"] == 2_500_000} == {None}


@pytest.mark.parametrize("tariff", ["2572749", "0"], ids=["at the tariff", "without a tariff"])
def test_an_amount_that_may_be_the_tariff_says_nothing(compared: Callable[..., Claims], tariff: str) -> None:
    claims = compared([*crowd(), *at_odd_amounts(range(900, 905), tariff=tariff)])
    assert {row["evidence_clone"] for row in claims.values()} == {0}


def test_other_bills_off_the_tariff_lead_to_expect_some_at_that_amount(compared: Callable[..., Claims]) -> None:
    """Elsewhere five of fifteen are at that amount, and within a month of the five here two more at others."""
    copies = at_odd_amounts(range(900, 905))
    here = [*at_odd_amounts(range(910, 912), amount="2611111")]
    elsewhere = [
        *at_odd_amounts(range(700, 705), at=8188),
        *(bill for n in range(710, 720) for bill in at_odd_amounts(range(n, n + 1), at=8189, amount=f"27{n}333")),
    ]
    odd = compared([*crowd(), *copies, *here, *elsewhere])[claim_id(900)]
    days = (date(2022, 9, 10) - date(2022, 1, 1)).days + 1
    assert odd["clone_count"] == 4
    assert odd["clone_expected"] == pytest.approx(7 * 31 / days * (5 + 0.5) / (15 + 10))


@pytest.mark.parametrize("days", [40, 365])
def test_a_young_houses_price_list_is_one(compared: Callable[..., Claims], days: int) -> None:
    """Six patients every other day of forty, at a factor of its own, in a file that ends with them."""
    start = date(2022, 12, 31) - timedelta(40)
    house = [
        claim(
            1000 + n, FKL02=claim_id(1000 + n, 9999), FKL19=f"K-4-{10 + n % 6}-I", FKL30=f"{9000 + n} - x",
            FKL47=f"{2_925_000 + n % 6}", FKL03=f"{start + timedelta(n // 6 * 2)}", FKL04=f"{start + timedelta(40)}",
        )
        for n in range(120)
    ]  # fmt: skip
    others = [
        claim(2000 + n, FKL02=claim_id(2000 + n, FACILITIES[n % 4]), FKL30=f"{9500 + n} - x",
              FKL19=f"K-4-{10 + n % 6}-I", FKL03=f"{start + timedelta(40 - n % days)}", FKL04="2022-12-31")
        for n in range(400)
    ]  # fmt: skip
    claims = compared([claim(0), *house, *others])
    assert max(row["evidence_clone"] for row in claims.values()) < 1


@pytest.mark.parametrize(("share", "weight"), [(0.08, 1.0), (0.15, 0.5), (0.25, 0.0)])
def test_a_price_list_of_its_own_is_no_odd_amount(compared: Callable[..., Claims], share: float, weight: float) -> None:
    """Of 200 stays so many are of five INA-CBGs off their tariffs, each billed alike in January, May and September."""
    listed = [
        claim(
            1000 + n, FKL02=claim_id(1000 + n, 9999), FKL19=f"K-4-{10 + n % 5}-I", FKL30=f"{5000 + n} - its own",
            FKL47=f"{2_711_111 + n % 5}", FKL03=f"2022-0{1 + 4 * (n // 5 % 3)}-03",
            FKL04=f"2022-0{1 + 4 * (n // 5 % 3)}-05",
        )
        for n in range(round(200 * share))
    ]  # fmt: skip
    copies = at_odd_amounts(range(900, 905), at=9999)
    rest = [
        claim(2000 + n, FKL02=claim_id(2000 + n, 9999), FKL30=f"{6000 + n} - else", FKL19="M-1-50-I")
        for n in range(200 - len(listed) - len(copies))
    ]
    odd = compared([*crowd(), *listed, *copies, *rest])[claim_id(900, 9999)]
    if weight == 0:
        assert (odd["clone_by_amount"], odd["evidence_clone"]) == (None, 0)
    else:
        assert odd["clone_by_amount"]
        own = weight * _deviance(4, odd["clone_expected"])
        habit = math.log((5 - 1 + 2) / (odd["habit_expected"] + 2)) if weight == 1 else 0
        assert (own > 10) == (weight == 1), "shows the pattern"
        assert odd["evidence_clone"] == pytest.approx(own + 1.5 * habit)


def _deviance(count: int, expected: float) -> float:
    """Of a negative binomial of shape 10."""
    return count * math.log(count / expected) - (count + 10) * math.log((count + 10) / (expected + 10))
