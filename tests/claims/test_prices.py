"""What a claim's bill is compared with, and what of it an audit could recover, on hand-made claims."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id, crowd, others, outpatient


def high_bill(deviations: float, share: float) -> float:
    """The evidence of a stay's high bill at a provider without a habit of it"""
    far = min(deviations, 5) + math.log(max(deviations - 4, 1))
    return 1.25 * (0.5 * far - math.log(share) * min(far / 2, 1))


@pytest.mark.parametrize("tariff", ["2500000", "4000000"])
def test_an_inflated_bill_stands_out_also_when_the_tariff_is_raised_along(
    compared: Callable[..., Claims], tariff: str
) -> None:
    claims = compared([*crowd(), claim(900, FKL32=tariff, FKL47="4000000", FKL30="9999 - else")])
    odd = claims[claim_id(900)]
    assert odd["price_ln_ratio"] == pytest.approx(math.log(1.6))
    assert odd["tariff_ln_ratio"] == pytest.approx(math.log(4_000_000 / int(tariff)))
    at_its_tariff = 0.5 if tariff == "4000000" else 1
    assert (odd["bill_as_far"], odd["bill_n"]) == (1, 201)
    assert odd["bill_share"] == pytest.approx((1 - 1 + 50 / 201) / 250)
    deviations = at_its_tariff * math.log(1.6) / 0.05
    assert odd["evidence_inflated_bill"] == pytest.approx(high_bill(deviations, odd["bill_share"]))
    assert odd["excess_amount"] == 1_500_000
    assert {row["evidence_inflated_bill"] for row in others(claims, claim_id(900))} == {0}


ADDS = [1.0, 0.9, 1.1, 1.2, 0.8, 1.3]
"""What class A adds to the tariff of six INA-CBGs."""


def test_a_bill_is_inflated_by_as_much_as_it_is_however_small_its_part_without_topups(
    compared: Callable[..., Claims],
) -> None:
    """A tenth above tariff and top-ups is a tenth above the peers with them, not as much as the peers' price again."""
    topup = {"FKL44": "DD-05-II", "FKL46": "22500000", "FKL47": "27500000"}
    odd = compared([*crowd(), claim(900, **topup, FKL30="9999 - else")])[claim_id(900)]
    assert odd["price_ln_ratio"] == pytest.approx(math.log(2)), "without top-ups"
    assert odd["tariff_ln_ratio"] == pytest.approx(math.log(1.1))
    assert odd["evidence_inflated_bill"] == pytest.approx(high_bill(math.log(1.1) / 0.05, odd["bill_share"]))


def stay_of_group(number: int, at: int, group: int, *, add: float = 1, **changes: str) -> dict[str, str]:
    """A stay with one of six INA-CBGs, at its tariff."""
    price = str(round(2_500_000 * add))
    bill = {"FKL19": f"A-4-{10 + group}-I", "FKL32": price, "FKL47": price, "FKL30": f"{number} - x"}
    return claim(number, FKL02=claim_id(number, at), **bill | changes)


def usual_and_house(groups: int, in_each: int, *, class_b: bool = False) -> Rows:
    """Stays of four facilities, and the only hospital of class A; `class_b`: class B has such factors, too."""
    usual = [stay_of_group(1000 + 40 * group + n, FACILITIES[n % 4], group) for group in range(6) for n in range(40)]
    house = [
        stay_of_group(3000 + 20 * group + n, 8888, group, add=ADDS[group], FKL09="1")
        for group in range(6 - groups, 6)
        for n in range(in_each)
    ]
    of_b = [
        stay_of_group(4000 + 20 * group + n, 9000 + n % 4, group, add=add, FKL09="2")
        for group, add in enumerate(ADDS) for n in range(12) if class_b
    ]  # fmt: skip
    return [claim(0), *usual, *house, *of_b]


def distances(adds: list[float]) -> list[float]:
    """How far a class is from each INA-CBG, its level (the median of what it adds) taken off."""
    level = statistics.median(math.log(add) for add in adds)
    return [abs(math.log(add) - level) for add in adds]


def evidence_at_its_tariff(row: dict[str, Any], misfits: list[float]) -> float:
    """What the bill of a stay at its own tariff says against peers of other classes."""
    spread = math.hypot(1.4826 * statistics.median(misfits), 0.05)
    return high_bill(row["price_ln_ratio"] / spread / 2, row["bill_share"])


def test_what_a_class_adds_differs_by_inacbg(compared: Callable[..., Claims]) -> None:
    """The only hospital of class A has tariffs so far above or below the usual ones; no other tells by how much."""
    dearest = compared(usual_and_house(6, 12))[claim_id(3100, 8888)]
    assert (dearest["facility_class"], dearest["price_level"], dearest["price_n"]) == ("RS Kelas A", 2, 52)
    assert dearest["price_ln_ratio"] == pytest.approx(math.log(1.3) - math.log(1.0 * 1.1) / 2)
    evidence = evidence_at_its_tariff(dearest, distances(ADDS))
    assert dearest["evidence_inflated_bill"] == pytest.approx(evidence)
    assert evidence < 1


def test_a_bill_above_its_own_tariff_is_so_whatever_its_class_adds(compared: Callable[..., Claims]) -> None:
    *rest, last = usual_and_house(6, 12)
    odd = compared([*rest, last | {"FKL47": "4062500"}])[last["FKL02"]]
    assert odd["price_level"] == 2
    by_its_tariff = high_bill(math.log(1.25) / 0.05, odd["bill_share"])
    assert odd["evidence_inflated_bill"] == pytest.approx(by_its_tariff)


@pytest.mark.parametrize(
    ("groups", "in_each", "class_b", "misfits"),
    [(5, 9, False, [0.0]), (4, 10, True, [0.0] * 6 + distances(ADDS[2:]) + distances(ADDS))],
    ids=["five groups of nine claims", "four groups, and six of class B"],
)
def test_a_class_is_judged_by_five_groups_of_ten_claims_or_as_all_classes_are(
    compared: Callable[..., Claims], groups: int, in_each: int, class_b: bool, misfits: list[float]
) -> None:
    dearest = compared(usual_and_house(groups, in_each, class_b=class_b), CLAIMS_MIN_PEERS="30")[claim_id(3100, 8888)]
    assert dearest["price_level"] == 2
    assert dearest["evidence_inflated_bill"] == pytest.approx(evidence_at_its_tariff(dearest, misfits))


def test_prices_where_class_and_ward_are_rare_come_from_what_these_add_elsewhere(
    compared: Callable[..., Claims],
) -> None:
    # Ward class 1 pays 1.4 times as much for another INA-CBG; here it has one claim, and that is its usual price.
    other = {"FKL19": "K-4-17-I", "FKL32": "1000000", "FKL47": "1000000"}
    first_class = [
        claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL30=f"{n} - x")
        | {**other, "FKL13": "1", "FKL32": "1400000", "FKL47": "1400000"}
        for n in range(300, 330)
    ]
    third_class = [claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL30=f"{n} - x") | other for n in range(400, 440)]
    lone = claim(900, FKL13="1", FKL32="3500000", FKL47="3500000", FKL30="9999 - else")
    dear = claim(901, FKL13="1", FKL32="5250000", FKL47="5250000", FKL30="9998 - else")
    claims = compared([*crowd(), *first_class, *third_class, lone, dear])
    odd = claims[claim_id(900)]
    assert odd["price_level"] == 2
    assert odd["price_median"] == pytest.approx(3_500_000)
    assert odd["evidence_inflated_bill"] == pytest.approx(0, abs=1e-9)
    dear_one = claims[claim_id(901)]
    deviations = 0.5 * math.log(1.5) / 0.05
    assert dear_one["evidence_inflated_bill"] == pytest.approx(high_bill(deviations, dear_one["bill_share"]))


def test_the_more_bills_of_an_inacbg_are_off_the_less_one_more_says(compared: Callable[..., Claims]) -> None:
    """The same ratio where no other bill is off, and where 40 honest ones are further off; and a slip."""
    loose = {"FKL19": "K-4-17-I", "FKL30": "1 - b"}
    slips = [
        claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL47="5000000", **loose | {"FKL30": f"{n} - x"})
        for n in range(300, 340)
    ]
    exact = [claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), **loose | {"FKL30": f"{n} - x"}) for n in range(400, 560)]
    alone = claim(900, FKL47="4000000", FKL30="900 - x")
    among = claim(901, FKL47="4000000", FKL02=claim_id(901, 8188), **loose)
    little = claim(902, FKL02=claim_id(902, 8191), FKL47="2540000", FKL30="902 - x")
    claims = compared([*crowd(), *exact, *slips, alone, among, little])
    odd, usual, least = (claims[name] for name in (claim_id(900), claim_id(901, 8188), claim_id(902, 8191)))
    assert odd["price_ln_ratio"] == pytest.approx(usual["price_ln_ratio"])
    assert (usual["bill_as_far"], usual["bill_n"]) == (41, 201)
    assert usual["bill_share"] == pytest.approx((41 - 1 + 50 * 42 / 403) / 250)
    assert odd["evidence_inflated_bill"] > usual["evidence_inflated_bill"] + 1.5
    few = math.log(1.016) / 0.05
    assert least["evidence_inflated_bill"] == pytest.approx(high_bill(few, least["bill_share"]))


def test_a_facility_with_another_tariff_has_no_habit_of_inflating(compared: Callable[..., Claims]) -> None:
    teaching = {"FKL32": "3500000", "FKL47": "3500000"}
    own = [claim(n, FKL02=claim_id(n, 8191), **teaching, FKL30=f"{n} - x") for n in range(300, 340)]
    claims = compared([*crowd(), *own])
    one = claims[claim_id(300, 8191)]
    assert one["own_ln_ratio"] == pytest.approx(math.log(1.4))
    assert (one["evidence_inflated_bill"], one["excess_amount"], one["provider"]["deviance"]) == (0, 0, 0)
    inflated = claim(900, FKL02=claim_id(900, 8191), FKL32="3500000", FKL47="4500000", FKL30="900 - x")
    odd = compared([*crowd(), *own, inflated])[claim_id(900, 8191)]
    assert odd["excess_amount"] == 1_000_000, "above its own tariff, as before"


@pytest.mark.parametrize(
    ("at_a_time", "own", "excess"),
    [(12, math.log(1.4), 0), (9, 0, 1_000_000)],
    ids=["many bills", "too few to tell"],
)
def test_a_facility_whose_tariff_changes_on_a_day_does_not_inflate_its_bills_from_then_on(
    compared: Callable[..., Claims], at_a_time: int, own: float, excess: int
) -> None:
    """A new class from 20 August on: that calendar month has more old bills, the days to 15 September more new ones."""

    def bills(first: int, count: int, day: str, price: str) -> Rows:
        bill = {"FKL03": day, "FKL04": day, "FKL32": price, "FKL47": price}
        return [claim(n, FKL02=claim_id(n, 8191), **bill, FKL30=f"{n} - x") for n in range(first, first + count)]

    before = [*bills(300, 40, "2022-03-10", "2500000"), *bills(350, 30, "2022-08-05", "2500000")]
    claims = compared([*crowd(), *before, *bills(400, at_a_time, "2022-08-25", "3500000")])
    assert claims[claim_id(300, 8191)]["own_ln_ratio"] == 0
    after = claims[claim_id(400, 8191)]
    assert after["own_ln_ratio"] == pytest.approx(own)
    assert after["excess_amount"] == excess
    assert (after["evidence_inflated_bill"] > 0) == (excess > 0)


def test_a_bill_that_is_dear_in_its_month_stays_so(compared: Callable[..., Claims]) -> None:
    """A dozen inflated bills among twenty at the old tariff, in one month: no new tariff."""
    price = {"FKL03": "2022-08-25", "FKL04": "2022-08-28"}
    usual = [claim(n, FKL02=claim_id(n, 8191), **price, FKL30=f"{n} - x") for n in range(300, 320)]
    dear = {"FKL32": "3500000", "FKL47": "3500000"}
    inflated = [claim(n, FKL02=claim_id(n, 8191), **price | dear, FKL30=f"{n} - x") for n in range(400, 412)]
    odd = compared([*crowd(), *usual, *inflated])[claim_id(400, 8191)]
    assert (odd["own_ln_ratio"], odd["excess_amount"]) == (0, 1_000_000)
    assert odd["evidence_inflated_bill"] > 0


def test_where_nothing_is_alike_the_own_tariff_says_what_is_too_much(compared: Callable[..., Claims]) -> None:
    """A rare, dear INA-CBG: its peers are all stays of that severity, and their price says nothing about it."""
    dear = {"FKL19": "M-1-04-I", "FKL30": "8151 - hip", "FKL32": "30000000"}
    claims = compared([*crowd(), claim(900, **dear, FKL47="30000000"), claim(901, **dear, FKL47="60000000")])
    usual, inflated = claims[claim_id(900)], claims[claim_id(901)]
    assert usual["price_level"] == inflated["price_level"] == 4
    assert (usual["excess_amount"], inflated["excess_amount"]) == (0, 30_000_000)
    assert inflated["evidence_inflated_bill"] >= 0.5 * math.log(2) / 0.05
    assert usual["evidence_inflated_bill"] == 0


@pytest.mark.parametrize(("billed", "excess"), [("52500000", 50_000_000), ("2500000", 2_500_000), ("0", 0)])
def test_no_more_is_excess_than_was_billed(compared: Callable[..., Claims], billed: str, excess: int) -> None:
    """A top-up that nobody else has, of a claim that only its tariff could judge, and it has none; two hospitals."""
    two = [visit | {"FKL02": claim_id(n, FACILITIES[n % 2])} for n, visit in enumerate(crowd(FKL32="0"))]
    topup = {"FKL38": "YY-99", "FKL40": "50000000", "FKL32": "0", "FKL47": billed, "FKL30": "9999 - else"}
    odd = compared([*two, claim(900, **topup)])[claim_id(900)]
    assert (odd["price_level"], odd["topup_amount"], odd["excess_amount"]) == (4, 50_000_000, excess)


@pytest.mark.parametrize(
    ("claims", "facilities", "told"),
    [(20, 3, True), (19, 3, False), (20, 2, False)],
    ids=["enough", "too few claims", "of two facilities"],
)
def test_the_usual_price_of_a_day_takes_as_many_peers_as_that_of_a_claim(
    compared: Callable[..., Claims], claims: int, facilities: int, told: bool
) -> None:
    """Days at 100,000 and at 250,000 rupiah: half of each is 175,000, which is no geometric mean."""
    bill = ["300000", "750000"]
    stays = [
        claim(n, FKL02=claim_id(n, FACILITIES[n % facilities]), FKL19="M-1-04-I", FKL30=f"{n} - x", FKL47=bill[n % 2])
        for n in range(300, 300 + claims)
    ]
    row = compared([*crowd(), *stays], CLAIMS_MIN_PEERS="20")[claim_id(301, FACILITIES[301 % facilities])]
    assert row["day_price_n"] == (claims if told else None)
    assert row["day_price_ln_ratio"] == (pytest.approx(math.log(250 / 175)) if told else None)
    assert row["price_per_day"] == 250_000


def test_the_same_code_for_outpatients_and_inpatients(compared: Callable[..., Claims]) -> None:
    day_care = [claim(n, FKL10="1", FKL04="2022-09-01", FKL47="1000000", FKL30=f"{n} - x") for n in range(300, 310)]
    claims = compared([*crowd(), *day_care])
    assert len(claims) == 210
    assert {row["price_level"] for row in claims.values()} == {1}


@pytest.mark.parametrize(("amount", "is_evidence"), [("2520000", False), ("2530000", True)])
def test_less_than_one_percent_is_no_inflation(compared: Callable[..., Claims], amount: str, is_evidence: bool) -> None:
    """Rounding and price lists differ by as much; where few claims are above their peers at all, it would stand out."""
    odd = compared([*crowd(), claim(900, FKL47=amount, FKL30="9999 - else")])[claim_id(900)]
    assert (odd["evidence_inflated_bill"] > 0) == is_evidence
    assert (odd["excess_amount"] > 0) == is_evidence


def test_a_tariff_that_is_a_slip_of_the_pen_says_nothing(compared: Callable[..., Claims]) -> None:
    odd = compared([*crowd(), claim(900, FKL32="2500", FKL30="9999 - else")])[claim_id(900)]
    assert odd["tariff_ln_ratio"] is None
    assert (odd["evidence_inflated_bill"], odd["excess_amount"]) == (0, 0)


@pytest.mark.parametrize(("tariff", "excess"), [("100000", 900_000), ("1", 0), ("0", 0)])
def test_where_nothing_is_alike_only_the_tariff_is_asked(
    compared: Callable[..., Claims], tariff: str, excess: int
) -> None:
    """A cheap, rare procedure: its peers are all stays of that severity, twenty times as dear as its tariff."""
    cheap = {"FKL19": "M-1-04-I", "FKL30": "8151 - hip", "FKL32": tariff, "FKL47": "1000000"}
    odd = compared([*crowd(), claim(900, **cheap)])[claim_id(900)]
    assert odd["price_level"] == 4
    assert odd["excess_amount"] == excess
    assert (odd["tariff_ln_ratio"] is None) == (excess == 0)


def test_where_nothing_is_alike_and_there_is_no_tariff_nothing_is_said(compared: Callable[..., Claims]) -> None:
    """A rare, dear INA-CBG in a file without tariffs: that it costs ten times what other stays do is no inflation."""
    dear = {"FKL19": "M-1-04-I", "FKL30": "8151 - hip", "FKL32": "0", "FKL47": "30000000"}
    odd = compared([*crowd(), claim(900, **dear)])[claim_id(900)]
    assert (odd["price_level"], odd["price_ln_ratio"], odd["tariff_ln_ratio"]) == (4, None, None)
    assert (odd["evidence_inflated_bill"], odd["excess_amount"]) == (0, 0)


def test_the_very_same_bill_a_second_time_is_all_excess(compared: Callable[..., Claims]) -> None:
    same = {"PSTV01": "7", "FKL30": "9301 - something", "FKL04": "2022-09-09"}
    alike = [claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL30="9301 - something") for n in range(300, 400)]
    claims = compared([*crowd(), *alike, claim(900, **same), claim(901, **same | {"FKL03": "2022-09-03"})])
    first, second = claims[claim_id(900)], claims[claim_id(901)]
    assert (first["excess_amount"], second["excess_amount"]) == (0, 2_500_000)
    assert second["repeat_share"] < 0.05
    other_price = compared([*crowd(), *alike, claim(900, **same), claim(901, **same | {"FKL47": "2499900"})])
    assert other_price[claim_id(901)]["excess_amount"] == 0


def test_a_visits_bill_says_less_than_a_stays(compared: Callable[..., Claims]) -> None:
    visits = [outpatient(n) for n in range(300, 500)]
    odd = compared([*crowd(), *visits, outpatient(900, FKL47="320000")])[claim_id(900)]
    deviations = odd["price_ln_ratio"] / 0.05
    assert deviations > 2
    assert odd["evidence_inflated_bill"] == pytest.approx(high_bill(deviations, odd["bill_share"]) / 1.25)
