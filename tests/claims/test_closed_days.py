"""Visits on a day of the week on which the facility sees nobody."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.claims.conftest import FACILITIES, Claims, claim, claim_id, on_workdays, outpatient

SUNDAY = date(2022, 3, 6)
HERE = FACILITIES[0]


DIALYSIS = {"FKL19": "N-3-15-0", "FKL18": "N185", "FKL17A": "N18", "FKL30": "3995 - haemodialysis"}


def on_sundays(weeks: list[int], at: int = HERE, first: int = 900) -> list[dict[str, str]]:
    """One visit for each entry, so many weeks after the first Sunday."""
    days = [f"{SUNDAY + timedelta(weeks=week)}" for week in weeks]
    return [outpatient(first + n, at=str(at), FKL03=day, FKL04=day) for n, day in enumerate(days)]


def closed(claims: Claims) -> set[str]:
    return {key for key, row in claims.items() if row["overlap_weekday"] is not None}


def test_visits_where_polyclinics_are_closed(compared: Callable[..., Claims]) -> None:
    claims = compared([*on_workdays(range(400)), *on_sundays([0, 0, 1, 1])])
    ours = {claim_id(n, HERE) for n in range(900, 904)}
    assert closed(claims) == ours
    row = claims[claim_id(900, HERE)]
    assert (row["overlap_weekday"], row["overlap_alike"], row["overlap_n"]) == (7, 4, 404)
    # Of other facilities' 300 visits none, drawn towards 4 in 404 by as much as 200.
    assert row["overlap_share"] == pytest.approx(200 * 4 / 404 / 500)
    habit = 1.5 * math.log((3 + 2) / (104 * 4 / 404 + 2))
    assert row["evidence_overlap"] == pytest.approx(-math.log(row["overlap_share"]) + habit)
    assert row["overlap_died"] is False
    assert {row[f"overlap_{name}"] for name in ("of", "day", "los", "elsewhere")} == {None}
    assert all(claims[key]["evidence_overlap"] == 0 for key in claims if key not in ours)


@pytest.mark.parametrize(
    "visits",
    [
        on_sundays([0, 0, 0, 0]),  # one campaign
        on_sundays(list(range(14))),  # open on every fourth Sunday or more
        [visit for n, at in enumerate(FACILITIES) for visit in on_sundays([0, 1], at, 900 + 10 * n)],
        [
            *on_sundays([0, 1, 2, 3, 4] * 8),
            *(visit for n, at in enumerate(FACILITIES[1:]) for visit in on_sundays(list(range(12)), at, 950 + 12 * n)),
        ],
        [*on_sundays([0, 0, 1, 1]), *(row | DIALYSIS for row in on_sundays(list(range(2, 51)), first=910))],
        [
            claim(900 + n, FKL03=visit["FKL03"], FKL04=visit["FKL03"])
            for n, visit in enumerate(on_sundays([0, 0, 1, 1]))
        ],
    ],
    ids=["one date", "open", "as often as elsewhere", "others are seen, too", "open for dialysis", "stays"],
)
def test_a_day_on_which_patients_are_seen(compared: Callable[..., Claims], visits: list[dict[str, str]]) -> None:
    assert not closed(compared([*on_workdays(range(400)), *visits]))


def test_a_few_weeks_tell_nothing_of_days(compared: Callable[..., Claims]) -> None:
    february = date(2022, 2, 7)
    days = {n: f"{february + timedelta(weeks=n % 7, days=n % 5)}" for n in range(400)}
    visits = [outpatient(n, FKL03=day, FKL04=day) for n, day in days.items()]
    assert not closed(compared([*visits, *on_sundays([0, 0, 1, 1])]))


def test_a_new_clinic_that_is_open_on_sundays(compared: Callable[..., Claims]) -> None:
    """Eight Sundays are few of a year's, but all that it has had."""
    new = {"FKL02": "99990922V"}
    days = [date(2022, 11, 7) + timedelta(days=n) for n in range(56)]
    visits = [
        outpatient(900 + n, FKL03=f"{day}", FKL04=f"{day}") | {"FKL02": f"{new['FKL02']}{900 + n:06d}"}
        for n, day in enumerate(days)
    ]
    assert not closed(compared([*on_workdays(range(400)), *visits]))


def test_a_stray_date_makes_no_facility_open_seldom(compared: Callable[..., Claims]) -> None:
    stray = outpatient(800, FKL03="2014-06-02", FKL04="2014-06-02")
    assert not closed(compared([*on_workdays(range(400)), *on_sundays(list(range(40))), stray]))
