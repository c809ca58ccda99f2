"""High bills where prices are no list: noise on all of them, and facilities with a factor of their own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id
from tests.claims.test_prices import high_bill


def by_place(add: Callable[[int, int], float], count: int = 300, first: int = 2000) -> Rows:
    """Stays of one INA-CBG and tariff in four hospitals; `add` tells of place and number what the bill is times it."""
    return [
        claim(
            first + n,
            FKL02=claim_id(first + n, FACILITIES[n % 4]),
            FKL30=f"{first + n} - x",
            FKL47=str(round(2_500_000 * add(n % 4, n))),
        )
        for n in range(count)
    ]


def spread_out(place: int, number: int) -> float:
    """As many bills above the tariff as below, by up to twice, in each hospital."""
    return math.exp((-1) ** (number // 4) * 0.7 * number / 300)


def deviations(row: dict[str, Any]) -> float:
    """How many deviations a bill is off its peers' median or its tariff, whichever is further above."""
    spread = math.hypot(row["price_ln_spread"], 0.05)
    off = [ratio / spread for ratio in (row["price_ln_ratio"], row["tariff_ln_ratio"]) if abs(ratio) > 0.01]
    return max(off, default=0.0)


def test_as_many_bills_below_tell_how_many_above_are_so_by_chance(compared: Callable[..., Claims]) -> None:
    raised = [claim(900 + n, FKL47="12000000", FKL30=f"{900 + n} - x") for n in range(3)]
    claims = compared([claim(0), *by_place(spread_out), *raised])
    high = sorted((row for row in claims.values() if deviations(row) > 0), key=deviations)
    low = [row | {"price_ln_ratio": -row["price_ln_ratio"], "tariff_ln_ratio": -row["tariff_ln_ratio"]}
           for row in claims.values()]  # fmt: skip
    below = [deviations(row) for row in low]
    show_it = Counter(row["facility_key"] for row in high if deviations(row) > 1)
    no_habit = min(show_it, key=lambda facility: show_it[facility])
    least = 1.0
    for place, row in enumerate(high):
        far = deviations(row) * (1 - 1e-9)
        as_far = sum(deviations(other) >= far for other in high)
        least = min(least, (sum(other >= far for other in below) + 0.5) / (as_far + 0.5))
        if place + 1 == len(high) or deviations(high[place + 1]) * (1 - 1e-9) > deviations(row):
            assert row["bill_chance"] == pytest.approx(least)
            if row["facility_key"] == no_habit:
                evidence = (1 - least) * high_bill(deviations(row), row["bill_share"])
                assert row["evidence_inflated_bill"] == pytest.approx(evidence)
    assert claims[claim_id(900)]["bill_chance"] < 0.15, "nobody is as far below"
    assert high[len(high) // 2]["bill_chance"] > 0.9
    assert {row["bill_chance"] for row in claims.values() if deviations(row) <= 0} == {None}


def test_who_bills_less_than_a_list_says_nothing_about_who_bills_more(compared: Callable[..., Claims]) -> None:
    claims = compared(
        [claim(0), *by_place(lambda _, n: 0.8 if n % 3 == 0 else 1), claim(900, FKL47="3000000", FKL30="900 - x")]
    )
    odd = claims[claim_id(900)]
    assert odd["bill_chance"] == 0
    assert odd["evidence_inflated_bill"] == pytest.approx(high_bill(math.log(1.2) / 0.05, odd["bill_share"]))


FACTORS = [1.15, 0.9, 1.3, 0.8]
"""What four hospitals bill times their tariff."""


def test_where_each_facility_has_its_factor_a_bill_is_high_beyond_it(compared: Callable[..., Claims]) -> None:
    raised = claim(900, FKL47=str(round(2_500_000 * 1.15 * 1.5)), FKL30="900 - x")
    claims = compared([claim(0), *by_place(lambda place, _: FACTORS[place]), raised])
    usual, dear = claims[claim_id(2000)], claims[claim_id(2002, FACILITIES[2])]
    assert usual["own_tariff_ln_ratio"] == pytest.approx(math.log(1.15))
    assert dear["own_tariff_ln_ratio"] == pytest.approx(math.log(1.3))
    assert dear["own_ln_ratio"] == pytest.approx(dear["price_ln_ratio"])
    assert {(row["evidence_inflated_bill"], row["excess_amount"]) for row in (usual, dear)} == {(0, 0)}
    assert claims[claim_id(2001, FACILITIES[1])]["own_tariff_ln_ratio"] == 0, "below its tariff"
    odd = claims[claim_id(900)]
    assert odd["excess_amount"] == pytest.approx(2_500_000 * 1.15 * 0.5, abs=1)
    far = math.log(1.5) / math.hypot(odd["price_ln_spread"], 0.05)
    assert odd["evidence_inflated_bill"] == pytest.approx((1 - odd["bill_chance"]) * high_bill(far, odd["bill_share"]))


def test_where_facilities_bill_their_tariff_a_factor_is_no_excuse(compared: Callable[..., Claims]) -> None:
    claims = compared([claim(0), *by_place(lambda place, _: 1.15 if place == 0 else 1)])
    raised = [row for row in claims.values() if row["amount_claimed"] > 2_500_000]
    assert len(raised) == 75
    assert {row["own_tariff_ln_ratio"] for row in claims.values()} == {0}
    assert {row["excess_amount"] for row in raised} == {375_000}
    assert min(row["evidence_inflated_bill"] for row in raised) > 1


@pytest.mark.parametrize(("with_factor", "counts"), [(5, 0.0), (6, 0.5), (7, 1.0)])
def test_a_factor_counts_the_more_the_more_have_one(
    compared: Callable[..., Claims], with_factor: int, counts: float
) -> None:
    """From half of the claims on: of ten facilities five, six and seven."""
    stays = [
        claim(
            2000 + n, FKL02=claim_id(2000 + n, 9000 + n % 10), FKL30=f"{2000 + n} - x",
            FKL47="2500000" if n % 10 >= with_factor else "3000000",
        )
        for n in range(200)
    ]  # fmt: skip
    one = compared([claim(0), *stays])[claim_id(2000, 9000)]
    assert one["factors_count"] == pytest.approx(counts)
    assert one["own_tariff_ln_ratio"] == pytest.approx(math.log(1.2) if counts else 0)
    above = (1 - counts) * 500_000 if counts in (0, 1) else 2_500_000 * (1.2 - 1.2**counts)
    assert one["excess_amount"] == pytest.approx(above, abs=1)


def test_one_large_facility_is_not_all(compared: Callable[..., Claims]) -> None:
    """It has seven tenths of all claims and raises them all; five others bill their tariff."""
    stays = [
        claim(
            2000 + n, FKL02=claim_id(2000 + n, 9000 + max(n % 20 - 14, 0)), FKL30=f"{2000 + n} - x",
            FKL47="3250000" if n % 20 <= 14 else "2500000",
        )
        for n in range(300)
    ]  # fmt: skip
    one = compared([claim(0), *stays])[claim_id(2000, 9000)]
    assert (one["factors_count"], one["own_tariff_ln_ratio"], one["excess_amount"]) == (0, 0, 750_000)


@pytest.mark.parametrize("tariff", ["0", "2500"], ids=["none", "in thousands"])
def test_a_tariff_that_is_none_is_no_factor(compared: Callable[..., Claims], tariff: str) -> None:
    """Twelve of each hospital's claims have a top-up, which is not to be taken for their tariff."""
    stays = [
        visit | {"FKL32": tariff} | ({"FKL44": "DD-05-II", "FKL46": "300000"} if n < 48 else {})
        for n, visit in enumerate(by_place(lambda place, _: 1.3 if place == 0 else 1))
    ]
    one = compared([claim(0), *stays])[claim_id(2296)]
    assert (one["factors_count"], one["own_tariff_ln_ratio"]) == (0, 0)
    assert one["excess_amount"] == pytest.approx(750_000)


def test_a_bill_of_nothing_is_no_mirror_of_a_high_one(compared: Callable[..., Claims]) -> None:
    raised = [claim(900 + n, FKL47="12000000", FKL30=f"{900 + n} - x") for n in range(5)]
    none = [claim(910 + n, FKL47="1", FKL30=f"{910 + n} - x") for n in range(10)]
    claims = compared([claim(0), *by_place(spread_out), *raised, *none])
    assert claims[claim_id(900)]["bill_chance"] < 0.15
