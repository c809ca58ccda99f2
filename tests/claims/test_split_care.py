"""Care that one facility splits into several claims: visits over days, a visit before a stay, stays in two INA-CBGs."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.claims.conftest import (
    FACILITIES,
    ULTRASOUND,
    Claims,
    Rows,
    admitted_at_the_clinic,
    claim,
    claim_id,
    crowd,
    on_workdays,
    outpatient,
    split_visits,
)

HERE = FACILITIES[0]


def found(claims: Claims) -> set[str]:
    return {key for key, row in claims.items() if row["fragment_of"] is not None}


def test_visits_spread_over_two_days(compared: Callable[..., Claims]) -> None:
    claims = compared([*on_workdays(range(400)), *split_visits(5)])
    assert found(claims) == {claim_id(n, HERE) for n in (901, 903, 905, 907, 909)}
    row = claims[claim_id(903, HERE)]
    assert row["fragment_of"] == claim_id(902, HERE)
    assert (row["fragment_gap_days"], row["fragment_alike"], row["fragment_n"]) == (1, 5, 410)
    # Of other facilities' 300 visits none, drawn towards 5 in 410 by as much as 200.
    assert row["fragment_share"] == pytest.approx(200 * 5 / 410 / 500)
    habit = 1.5 * math.log((4 + 2) / (110 * 5 / 410 + 2))
    assert row["evidence_fragmentation"] == pytest.approx(-math.log(row["fragment_share"]) - 0.15 + habit)


def test_the_work_up_in_a_package_of_its_own(compared: Callable[..., Claims]) -> None:
    ultrasounds = [row | ULTRASOUND for row in on_workdays(range(1000, 1100))]
    same_procedures = {"FKL30": "8000 - something"}
    visits = [row | same_procedures for row in split_visits(5, **ULTRASOUND)]
    claims = compared([*on_workdays(range(400)), *ultrasounds, *visits])
    assert {claims[key]["inacbg_code"] for key in found(claims)} == {"Z-3-23-0"}
    assert len(found(claims)) == 5


def two_days_later(rows: Rows) -> Rows:
    for row in rows[1::2]:
        row["FKL03"] = row["FKL04"] = f"{date.fromisoformat(row['FKL03']) + timedelta(days=1)}"
    return rows


def test_the_nearest_visit_before_is_the_one_named(compared: Callable[..., Claims]) -> None:
    visits = two_days_later(split_visits(5))
    between = outpatient(950, at=str(HERE), PSTV01="91", FKL03="2022-03-15", FKL04="2022-03-15")
    claims = compared([*on_workdays(range(400)), *visits, between])
    assert claims[claim_id(901, HERE)]["fragment_gap_days"] == 2
    assert claims[claim_id(903, HERE)]["fragment_of"] == claim_id(950, HERE)
    assert claims[claim_id(903, HERE)]["fragment_gap_days"] == 1


def of_patients(rows: Rows, patients: int) -> Rows:
    """The same visits, but of fewer patients."""
    for n, row in enumerate(rows):
        row["PSTV01"] = f"{90 + n // 2 % patients}"
    return rows


def week_of_visits(first: int, patient: str) -> Rows:
    days = [f"2022-03-{7 + n:02d}" for n in range(5)]
    return [outpatient(first + n, at=str(HERE), PSTV01=patient, FKL03=day, FKL04=day) for n, day in enumerate(days)]


def every_other(rows: Rows, **changes: str) -> Rows:
    return [row | changes if n % 2 else row for n, row in enumerate(rows)]


def elsewhere(rows: Rows) -> Rows:
    """Every other visit at another facility."""
    return [row | {"FKL02": claim_id(900 + n, FACILITIES[n % 2])} for n, row in enumerate(rows)]


HONEST = {
    "four patients": of_patients(split_visits(8), 4),
    "courses of treatment": [visit for n in range(5) for visit in week_of_visits(900 + 10 * n, f"{90 + n}")],
    "as often as elsewhere": [
        *on_workdays(range(400, 800)),
        *(row for n, at in enumerate(FACILITIES) for row in split_visits(6, at, 900 + 20 * n, 20 + 10 * n)),
    ],
    "usual care": [
        *split_visits(60),
        *(row for n, at in enumerate(FACILITIES[1:]) for row in split_visits(8, at, 1000 + 100 * n, 200 + 100 * n)),
    ],
    "the same day": [row | {"FKL03": "2022-03-07", "FKL04": "2022-03-07"} for row in split_visits(5)],
    "three days later": two_days_later(two_days_later(split_visits(5))),
    "for something else": every_other(split_visits(5), FKL17A="J18", FKL18="J189"),
    "the same again": [row | {"FKL30": "8000 - something"} for row in split_visits(5)],
    "elsewhere": elsewhere(split_visits(5)),
    "nothing done": [row | {"FKL30": "", "FKL19": f"Q-5-{42 + n % 2}-0"} for n, row in enumerate(split_visits(5))],
    "a child is born on the day of its mother's visit": [
        row | ({"FKL19": "P-8-17-I"} if n % 2 else {}) for n, row in enumerate(admitted_at_the_clinic(5))
    ],
    "after a stay": [
        claim(900 + n, PSTV01=row["PSTV01"], FKL03=row["FKL03"], FKL04=row["FKL03"], FKL18="I10", FKL17A="I10")
        if n % 2 == 0
        else row
        for n, row in enumerate(split_visits(5))
    ],
}  # fmt: skip


@pytest.mark.parametrize("visits", HONEST.values(), ids=HONEST)
def test_another_visit_soon_after_is_mostly_honest(compared: Callable[..., Claims], visits: Rows) -> None:
    assert not found(compared([*on_workdays(range(400)), *visits]))


def test_expected_is_what_the_whole_case_mix_would_bring(compared: Callable[..., Claims]) -> None:
    """Ten kinds of visits of which others split one in twenty; the facility splits five of one kind, and no other."""
    codes = [f"Z-3-{10 + n}-0" for n in range(10)]
    visits = [row | {"FKL19": codes[n // 4 % 10]} for n, row in enumerate(on_workdays(range(1600)))]
    others = [
        row | {"FKL19": code}
        for n, code in enumerate(codes)
        for m, at in enumerate(FACILITIES[1:])
        for row in split_visits(2, at, 2000 + 20 * n + 4 * m, 2000 + 20 * n + 4 * m)
    ]
    own = [row | {"FKL19": codes[0]} for row in split_visits(5, first=1900)]
    assert not found(compared([*visits, *others, *own]))


def test_stays_from_the_day_of_a_visit_on(compared: Callable[..., Claims]) -> None:
    """The visit took place; the stay may have been invented around it."""
    claims = compared([*crowd(400), *admitted_at_the_clinic(5)])
    assert found(claims) == {claim_id(n, HERE) for n in (901, 903, 905, 907, 909)}
    row = claims[claim_id(903, HERE)]
    assert (row["fragment_by"], row["fragment_of"]) == ("admission", claim_id(902, HERE))
    assert (row["fragment_gap_days"], row["fragment_alike"], row["fragment_n"]) == (0, 5, 405)
    assert row["fragment_share"] == pytest.approx(20 * 5 / 405 / 320)
    assert row["fragment_same"] is None
    habit = 1.5 * math.log((4 + 2) / (105 * 5 / 405 + 2))
    assert row["evidence_fragmentation"] == pytest.approx(-math.log(0.05) + habit), "no more than the bound says"


def in_two(count: int, at: int = HERE, first: int = 900, gap: int = 2, **later: str) -> Rows:
    """Stays of so many patients, each with another one, with another INA-CBG, `gap` days after it."""
    rows = []
    for n in range(count):
        start = date(2022, 3, 7) + timedelta(weeks=n)
        for number, day, changes in (
            (0, start, {}),
            (1, start + timedelta(days=3 + gap), {"FKL19": "A-4-15-I"} | later),
        ):
            number += first + 2 * n
            until = f"{day + timedelta(days=3)}"
            stay = {"FKL02": claim_id(number, at), "PSTV01": f"{first + n}", "FKL03": f"{day}", "FKL04": until}
            rows.append(claim(number, **(stay | changes)))
    return rows


def test_stays_in_two_inacbgs(compared: Callable[..., Claims]) -> None:
    claims = compared([*crowd(400), *in_two(5)])
    assert found(claims) == {claim_id(n, HERE) for n in range(900, 910)}
    row = claims[claim_id(902, HERE)]
    assert (row["fragment_by"], row["fragment_of"]) == ("other_stay", claim_id(903, HERE))
    assert (row["fragment_gap_days"], row["fragment_alike"], row["fragment_n"]) == (2, 5, 405)
    # Of other facilities' 300 stays none, drawn towards 10 in 410 by as much as 20.
    assert row["fragment_share"] == pytest.approx(20 * 10 / 410 / 320)
    assert claims[claim_id(903, HERE)]["fragment_of"] == claim_id(902, HERE)


@pytest.mark.parametrize(
    "stays",
    [
        in_two(5, gap=3),
        in_two(5, FKL19="P-8-17-I", FKL20="P"),
        [row | ({"FKL02": claim_id(900 + n, FACILITIES[n % 2])}) for n, row in enumerate(in_two(5))],
        [row for n, at in enumerate(FACILITIES) for row in in_two(5, at, 900 + 10 * n)],
    ],
    ids=["three days between", "newborns", "elsewhere", "as often as elsewhere"],
)
def test_another_stay_soon_after_is_mostly_honest(compared: Callable[..., Claims], stays: Rows) -> None:
    assert not found(compared([*crowd(400), *stays]))


def test_a_claim_that_is_split_in_several_ways_is_told_once(compared: Callable[..., Claims]) -> None:
    visits = split_visits(5)
    admitted = [
        claim(
            950 + n,
            PSTV01=visit["PSTV01"],
            FKL03=visit["FKL03"],
            FKL04=f"{date.fromisoformat(visit['FKL03']) + timedelta(days=3)}",
            FKL30=f"{9000 + n} - something of its own",
        )
        for n, visit in enumerate(visits[1::2])
    ]
    claims = compared([*on_workdays(range(400)), *visits, *admitted])
    assert {claims[key]["fragment_by"] for key in found(claims)} == {"visit"}
    assert len(found(claims)) == 5
    stays = in_two(5)
    third = [
        row | {"FKL02": claim_id(950 + n), "FKL19": "A-4-14-I", "FKL03": row["FKL04"], "FKL04": row["FKL04"]}
        for n, row in enumerate(stays[1::2])
    ]
    claims = compared([*crowd(400), *stays, *third])
    assert claims[claim_id(900)]["fragment_by"] == "stay", "continued by the third"
    assert claims[claim_id(901)]["fragment_by"] == "other_stay"
