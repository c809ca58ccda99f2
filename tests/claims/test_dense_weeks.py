"""More visits of an outpatient within seven days than others have."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import (
    FACILITIES,
    ULTRASOUND,
    Claims,
    Rows,
    claim,
    claim_id,
    crowd,
    on_workdays,
    outpatient,
    visits_on,
)

HERE = FACILITIES[0]


def found(claims: Claims) -> dict[str, int]:
    return {key: row["week_visits"] for key, row in claims.items() if row["week_visits"] is not None}


def all_of(numbers: range, visits: int) -> dict[str, int]:
    return {claim_id(number, HERE): visits for number in numbers}


def test_a_full_week_is_held_against_other_facilities_visits(compared: Callable[..., Claims]) -> None:
    claims = compared([*on_workdays(range(400)), *visits_on([7, 8, 9, 10, 11])])
    assert found(claims) == all_of(range(900, 905), 5)
    row = claims[claim_id(902, HERE)]
    assert (row["week_alike"], row["week_n"]) == (5, 405)
    # Of other facilities' 300 visits none, drawn towards 5 in 405 by as much as 200.
    assert row["week_share"] == pytest.approx(200 * 5 / 405 / 500)
    assert row["evidence_repeat"] == pytest.approx(-0.6 * math.log(row["week_share"])), "and no habit"


def test_two_visits_are_no_full_week(compared: Callable[..., Claims]) -> None:
    assert found(compared([*on_workdays(range(400)), *visits_on([7, 9])])) == {}


def test_seven_days_and_no_more(compared: Callable[..., Claims]) -> None:
    """From the 7th to the 13th are seven days; whichever of them hold a claim count for it."""
    claims = compared([*on_workdays(range(400)), *visits_on([7, 10, 13, 14, 21])])
    assert found(claims) == {claim_id(900, HERE): 3} | all_of(range(901, 904), 3)
    assert claims[claim_id(904, HERE)]["week_visits"] is None


def test_a_week_that_does_not_hold_the_claim_does_not_count_for_it(compared: Callable[..., Claims]) -> None:
    claims = compared([*on_workdays(range(400)), *visits_on([7, 13, 14, 14, 21])])
    assert found(claims) == all_of(range(901, 904), 3)


def test_stays_are_no_visits(compared: Callable[..., Claims]) -> None:
    stays = [
        claim(900 + n, PSTV01="90", FKL03=f"2022-09-{day:02d}", FKL04=f"2022-09-{day:02d}", FKL30=f"{8000 + n} - own")
        for n, day in enumerate([7, 9, 11])
    ]
    assert found(compared([*crowd(), *stays])) == {}


@pytest.mark.parametrize(
    "change", [{"FKL02": claim_id(901, 8188)}, {"PSTV01": "91"}, ULTRASOUND], ids=["facility", "patient", "INA-CBG"]
)
def test_what_is_not_the_same_course_does_not_count(compared: Callable[..., Claims], change: dict[str, str]) -> None:
    visits = visits_on([7, 8, 9])
    visits[1] |= change
    assert found(compared([*on_workdays(range(400)), *visits])) == {}


def course(patient: int, at: int) -> Rows:
    """Six sessions a week, for three weeks."""
    days = [7 * week + day for week in range(3) for day in range(1, 7)]
    return visits_on(days, first=1000 + 20 * patient, patient=patient, at=at)


def test_what_other_facilities_do_as_well_is_a_course_of_treatment(compared: Callable[..., Claims]) -> None:
    """Daily sessions are usual of some care: one in twenty visits elsewhere is enough."""
    courses = [row for n in range(2) for row in course(n, FACILITIES[1 + n])]
    claims = compared([*on_workdays(range(400)), *courses, *visits_on([7, 8, 9, 10, 11, 12])])
    assert found(claims) == {}


def test_a_facilitys_own_full_weeks_are_no_excuse(compared: Callable[..., Claims]) -> None:
    courses = [row for n in range(2) for row in course(n, HERE)]
    claims = compared([*on_workdays(range(400)), *courses])
    assert set(found(claims).values()) == {6}
    assert len(found(claims)) == 36


def test_full_weeks_are_no_strong_claims_of_their_provider(compared: Callable[..., Claims]) -> None:
    """Where a house treats daily, all of its claims have them."""
    claims = compared([*on_workdays([0, *range(2_000, 7_000)]), *course(0, HERE)])
    rows = [claims[key] for key in found(claims)]
    assert len(rows) == 18
    assert min(row["evidence_repeat"] for row in rows) > 5
    on_closed_days = sum(row["overlap_weekday"] is not None for row in rows)
    assert {row["provider"]["strong_observed"] for row in rows} == {on_closed_days}


def test_who_alone_gives_a_treatment_has_no_peers(compared: Callable[..., Claims]) -> None:
    daily = [visits_on([7, 8, 9, 10, 11], first=900 + 10 * n, patient=90 + n, **ULTRASOUND) for n in range(3)]
    assert found(compared([*on_workdays(range(400)), *(row for course in daily for row in course)])) == {}


def test_the_fuller_the_week_the_more_it_says(compared: Callable[..., Claims]) -> None:
    weeks = [visits_on(range(7, 7 + n), first=900 + 10 * n, patient=90 + n) for n in (3, 4, 5)]
    claims = compared([*on_workdays(range(400)), *(row for week in weeks for row in week)])
    rows = [claims[claim_id(900 + 10 * n, HERE)] for n in (3, 4, 5)]
    assert [row["week_alike"] for row in rows] == [12, 9, 5]
    evidence = [row["evidence_repeat"] for row in rows]
    assert evidence == sorted(evidence)
    assert len(set(evidence)) == 3


def test_what_says_more_is_the_evidence(compared: Callable[..., Claims]) -> None:
    """Bills sent again are odder than their week is; the first of them has only its week."""
    again = visits_on([7, 8, 9], FKL30="9301 - something")
    claims = compared([*on_workdays(range(400)), *again])
    first, second = claims[claim_id(900, HERE)], claims[claim_id(901, HERE)]
    assert (first["week_visits"], first["repeat_of"]) == (3, None)
    assert (second["week_visits"], second["repeat_of"]) == (None, claim_id(900, HERE))
    assert second["evidence_repeat"] > first["evidence_repeat"] > 0


def test_a_repeat_with_its_habit_may_say_more_than_the_week(compared: Callable[..., Claims]) -> None:
    """Repeats that one in ten have say less than a full week; where one facility has them all, more."""
    usual = {"FKL18": "Z501", "FKL17A": "Z50", "FKL30": "9339 - physical therapy"}
    once = [row | usual for row in on_workdays(range(1000, 1060))]
    again = [visits_on([7, 8], first=900 + 10 * n, patient=90 + n, **usual) for n in range(8)]
    full = visits_on([7, 8, 9, 10, 11], first=990, patient=99, **usual)
    rows = [*on_workdays(range(400)), *once, *(row for pair in again for row in pair), *full]
    claims = compared(rows)
    first, later = claims[claim_id(990, HERE)], claims[claim_id(992, HERE)]
    assert first["week_visits"] == 5
    share = later["repeat_share"]
    assert -math.log(share) < first["evidence_repeat"] < later["evidence_repeat"]
    assert (later["week_visits"], later["habit_pattern"]) == (None, "repeat")


def test_where_the_week_leads_no_habit_is_told(compared: Callable[..., Claims]) -> None:
    daily = {"FKL30": "9339 - physical therapy"}
    usual = [visits_on([7, 8], first=1500 + 10 * n, patient=150 + n, at=FACILITIES[1], **daily) for n in range(8)]
    again = [visits_on([7, 8], first=900 + 10 * n, patient=90 + n, FKL30=f"{7000 + n} - own") for n in range(8)]
    full = visits_on([7, 8, 9, 10, 11], first=990, patient=99, **daily)
    rows = [*on_workdays(range(400)), *(row for pair in (*usual, *again) for row in pair), *full]
    row = compared(rows)[claim_id(992, HERE)]
    assert (row["week_visits"], row["repeat_of"]) == (5, claim_id(991, HERE))
    assert row["evidence_repeat"] == pytest.approx(-0.6 * math.log(row["week_share"]))
    assert row["habit_pattern"] is None


def test_a_number_of_many_has_no_weeks(compared: Callable[..., Claims]) -> None:
    """A placeholder for whoever has no number comes to more than ten facilities."""
    visits = visits_on([7, 8, 9], patient=0)
    elsewhere = [outpatient(910 + n, at=str(9000 + n), PSTV01="0") for n in range(11)]
    assert found(compared([*on_workdays(range(400)), *visits, *elsewhere])) == {}
    assert len(found(compared([*on_workdays(range(400)), *visits, *elsewhere[:9]]))) == 3
