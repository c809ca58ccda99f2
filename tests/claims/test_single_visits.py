"""Visits for which a patient comes a single time with a diagnosis that others follow up, on hand-made claims."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id, followed_up, outpatient

FOLLOWED_UP = [claim(0), *followed_up(20)]  # and a stay
ELSEWHERE = 20 * 10
"""Visits of FOLLOWED_UP."""


def once(number: int, day: str = "2022-06-15", **changes: str) -> dict[str, str]:
    return outpatient(number, **{"at": str(FACILITIES[0]), "FKL03": day, "FKL04": day} | changes)


def test_one_who_comes_once_where_others_come_again(compared: Callable[..., Claims]) -> None:
    honest = [once(n, at=str(FACILITIES[1])) for n in (700, 701)]
    row = compared([*FOLLOWED_UP, *honest, once(900)])[claim_id(900)]
    assert (row["single_alike"], row["single_n"]) == (2, ELSEWHERE + 2)
    assert row["single_share"] == pytest.approx(2.5 / (ELSEWHERE + 3))
    assert row["evidence_single_visit"] == pytest.approx(-math.log(row["single_share"]))


@pytest.mark.parametrize(
    "other",
    [
        once(901, PSTV01="7", day="2022-08-01"),
        once(901, PSTV01="7", at=str(FACILITIES[2])),
        claim(901, PSTV01="7", FKL18="I10", FKL02=claim_id(901, FACILITIES[3])),
    ],
    ids=["later", "elsewhere", "a stay"],
)
def test_one_who_comes_again_anywhere_is_none(compared: Callable[..., Claims], other: dict[str, str]) -> None:
    row = compared([*FOLLOWED_UP, once(900, PSTV01="7"), other])[claim_id(900)]
    assert row["single_share"] is None
    assert row["evidence_single_visit"] == 0


def test_another_diagnosis_is_no_second_visit(compared: Callable[..., Claims]) -> None:
    rows = [once(900, PSTV01="7"), once(901, PSTV01="7", FKL18="E119")]
    assert compared([*FOLLOWED_UP, *rows])[claim_id(900)]["evidence_single_visit"] > 5


def test_a_stay_is_no_visit(compared: Callable[..., Claims]) -> None:
    stays = [claim(n, FKL18="I10", FKL02=claim_id(n, FACILITIES[n % 2])) for n in (950, 951)]
    claims = compared([*FOLLOWED_UP, *stays, once(900)])
    assert (claims[claim_id(900)]["single_alike"], claims[claim_id(900)]["single_n"]) == (0, ELSEWHERE)
    assert {claims[stay["FKL02"]]["single_share"] for stay in stays} == {None}


def test_where_many_come_once_it_says_nothing(compared: Callable[..., Claims]) -> None:
    honest = [once(700 + n, at=str(FACILITIES[1])) for n in range(86)]  # 86.5 of 287 are 0.301
    assert compared([*FOLLOWED_UP, *honest, once(900)])[claim_id(900)]["single_share"] is None
    fewer = compared([*FOLLOWED_UP, *honest[:80], once(900)])[claim_id(900)]
    assert fewer["evidence_single_visit"] == pytest.approx(-math.log(80.5 / 281))


def test_too_few_visits_elsewhere_say_nothing(compared: Callable[..., Claims]) -> None:
    assert compared([claim(0), *followed_up(2)[:19], once(900)])[claim_id(900)]["single_share"] is None


@pytest.mark.parametrize(("days", "weight"), [(0, 0), (12, 0.4), (30, 1)])
def test_who_came_last_month_may_come_again(compared: Callable[..., Claims], days: int, weight: float) -> None:
    visits = FOLLOWED_UP
    first, last = (sorted(visit["FKL03"] for visit in visits)[place] for place in (2, -3))
    for day in (date.fromisoformat(first) + timedelta(days), date.fromisoformat(last) - timedelta(days)):
        row = compared([*visits, once(900, day=f"{day}")])[claim_id(900)]
        assert row["evidence_single_visit"] == pytest.approx(weight * math.log((ELSEWHERE + 1) / 0.5), rel=1e-3)


def test_a_placeholder_is_nobodys_only_visit(compared: Callable[..., Claims]) -> None:
    elsewhere: Rows = [once(n, PSTV01="0", FKL18="E119", at=str(9000 + n)) for n in range(11)]
    rows = [*FOLLOWED_UP, once(900, PSTV01="0"), *elsewhere]
    assert compared(rows)[claim_id(900)]["single_share"] is None


def test_a_facility_with_many_single_visits_shows_a_habit(compared: Callable[..., Claims]) -> None:
    row = compared([*FOLLOWED_UP, *(once(900 + n) for n in range(6))])[claim_id(900)]
    alone = math.log((ELSEWHERE + 1) / 0.5)
    habit = math.log((6 - 1 + 2) / (6 * 6 / (ELSEWHERE + 6) + 2))
    assert row["evidence_single_visit"] == pytest.approx(alone + 3 * habit, rel=1e-5)
    assert (row["habit_pattern"], row["habit_observed"]) == ("single_visit", 6)
