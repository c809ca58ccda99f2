"""Repeat billing, on hand-made claims: which of two bills is the repeat, how usual it is, the facility's habit."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import Claims, claim, claim_id, crowd, diagnosis, visit


def test_the_later_of_two_bills_is_the_repeat_unless_repeats_are_usual(compared: Callable[..., Claims]) -> None:
    again = {"PSTV01": "7", "FKL30": "9301 - something", "FKL04": "2022-09-09"}
    usual = {"FKL18": "Z491", "FKL17A": "Z49", "FKL19": "N-3-15-0", "FKL10": "1", "FKL30": "3995 - dialysis"}
    series = [
        claim(n, **usual, PSTV01=f"{n % 5}", FKL03=day, FKL04=day)
        for n, day in ((n, f"2022-09-{1 + 2 * (n % 50 // 5):02d}") for n in range(300, 350))
    ]
    visits = [*crowd(), claim(900, **again), claim(901, **again | {"FKL03": "2022-09-03"}), *series]
    claims = compared(visits)
    first, second = claims[claim_id(900)], claims[claim_id(901)]
    assert (first["evidence_repeat"], second["repeat_after_days"]) == (0, 2)
    assert second["evidence_repeat"] == pytest.approx(-math.log(second["repeat_share"]))
    assert second["evidence_repeat"] > 1 > max(claims[claim_id(n)]["evidence_repeat"] for n in range(300, 350))


def test_a_habit_of_repeats_says_nothing_of_care_that_comes_back_anyway(compared: Callable[..., Claims]) -> None:
    """At a facility that bills visits twice, the dialysis of every other day is as honest as elsewhere."""
    treatment = {"FKL18": "Z491", "FKL17A": "Z49", "FKL19": "N-3-15-0", "FKL10": "1", "FKL30": "3995 - dialysis"}
    days = {n: f"2022-09-{1 + 2 * (n % 50 // 5):02d}" for n in range(300, 350)}
    series = [
        claim(n, FKL02=claim_id(n, 8188), **treatment, PSTV01=f"{n % 5}", FKL03=day, FKL04=day)
        for n, day in days.items()
    ]
    once = [claim(n, FKL02=claim_id(n, 8188), **treatment, PSTV01=f"{n}") for n in range(600, 640)]
    twice = [
        visit(900 + n, f"2022-09-0{1 + 2 * (n % 2)}", PSTV01=f"{10 + n // 2}", FKL30=f"{9300 + n // 2} - x")
        for n in range(24)
    ]
    elsewhere = [visit(n, "2022-09-01", 8189, FKL30=f"{9000 + n} - y") for n in range(400, 800)]
    claims = compared([*crowd(), *series, *once, *twice, *elsewhere])
    session, repeat = claims[claim_id(349, 8188)], claims[claim_id(923, 8188)]
    assert session["repeat_share"] == pytest.approx(0.41, abs=0.01)
    assert session["evidence_repeat"] == pytest.approx(-math.log(session["repeat_share"])), "no habit counted in"
    assert session["habit_pattern"] is None
    assert repeat["habit_pattern"] == "repeat"
    assert repeat["evidence_repeat"] > 1 - math.log(repeat["repeat_share"]), "the habit counted in"


@pytest.mark.parametrize(
    ("admission", "facility", "repeat"),
    [("2022-09-02", 8188, True), ("2022-09-03", 8188, False), ("2022-09-04", 8188, False), ("2022-09-03", 8187, True)],
)
def test_a_transfer_is_no_repeat(compared: Callable[..., Claims], admission: str, facility: int, repeat: bool) -> None:
    """Another hospital goes on treating from the day on which the first one discharges, or the next."""
    again = {"PSTV01": "7", "FKL30": "9301 - something"}
    there = claim(901, FKL02=claim_id(901, facility), **again, FKL03=admission, FKL04="2022-09-09", FKL47="2499900")
    claims = compared([*crowd(), claim(900, **again, FKL04="2022-09-03"), there])
    second = claims[claim_id(901, facility)]
    if repeat:
        assert (second["repeat_of"], second["repeat_elsewhere"]) == (claim_id(900), facility != 8187)
        assert second["evidence_repeat"] > 1
    else:
        assert (second["repeat_of"], second["evidence_repeat"]) == (None, 0)


@pytest.mark.parametrize(("day", "weight"), [("2022-09-01", 1), ("2022-09-02", 1.5), ("2022-09-03", 1)])
def test_the_same_bill_of_the_next_day_says_more(compared: Callable[..., Claims], day: str, weight: float) -> None:
    """Sessions are days apart, and what was typed twice has one date."""
    again = {"PSTV01": "7", "FKL30": "9301 - something", "FKL04": "2022-09-09"}
    claims = compared([*crowd(), claim(900, **again), claim(901, **again | {"FKL03": day})])
    second = claims[claim_id(901)]
    assert second["repeat_identical"] is True
    assert second["evidence_repeat"] == pytest.approx(-weight * math.log(second["repeat_share"]))


def test_the_same_bill_again_in_a_series_whose_bills_differ(compared: Callable[..., Claims]) -> None:
    """A series is honest, and yet one of its bills was pasted: same facility, INA-CBG, diagnoses and amount."""
    treatment = {"FKL18": "Z491", "FKL17A": "Z49", "FKL19": "N-3-15-0", "FKL10": "1", "FKL30": "3995 - dialysis"}
    days = {n: f"2022-09-{1 + 2 * (n % 50 // 5):02d}" for n in range(300, 350)}
    series = [claim(n, **treatment, PSTV01=f"{n % 5}", FKL03=day, FKL04=day) for n, day in days.items()]
    pasted = claim(900, **treatment, PSTV01="4", FKL03="2022-09-20", FKL04="2022-09-20")  # the last one is of the 19th
    differing = [diagnosis(n, f"J{100 + n % 50 // 5}") for n in range(300, 349)]
    claims = compared([*crowd(), *series, pasted], [*differing, diagnosis(349, "J999"), diagnosis(900, "J999")])
    honest, odd = claims[claim_id(349)], claims[claim_id(900)]
    assert (honest["repeat_identical"], odd["repeat_identical"]) == (False, True)
    assert (honest["repeat_alike"], odd["repeat_alike"], odd["repeat_n"]) == (46, 1, 51)
    overall = len(claims)
    assert honest["repeat_share"] == pytest.approx((46 - 3 + 20 * 46 / overall) / (51 - 3 + 20)), "how usual any is"
    assert odd["repeat_share"] == pytest.approx((1 - 1 + 20 * 1 / overall) / (51 - 1 + 20)), "an identical one"


@pytest.mark.parametrize(
    "difference",
    [{"FKL02": claim_id(901, 8188)}, {"FKL19": "A-4-14-II"}, {"FKL47": "2500100"}, {"secondary": "J999"}],
    ids=["facility", "INA-CBG", "amount", "secondary diagnoses"],
)
def test_a_repeat_is_identical_only_in_everything(compared: Callable[..., Claims], difference: dict[str, str]) -> None:
    again = {"PSTV01": "7", "FKL30": "9301 - something", "FKL04": "2022-09-09"}
    other = {"FKL03": "2022-09-03"} | difference
    secondary = other.pop("secondary", None)
    diagnoses = [diagnosis(901, secondary)] if secondary else None
    claims = compared([*crowd(), claim(900, **again), claim(901, **again | other)], diagnoses)
    second = claims[other.get("FKL02", claim_id(901))]
    assert second["repeat_after_days"] == 2
    assert second["repeat_identical"] is False
    assert second["evidence_repeat"] == pytest.approx(-0.7 * math.log(second["repeat_share"])), "and says less"


@pytest.mark.parametrize("copies", [1, 2, 3, 8])
def test_more_copies_are_no_excuse_for_one(compared: Callable[..., Claims], copies: int) -> None:
    """A patient's own repeats are not what makes them usual; from a fourth on they may be a course of treatment."""
    again = {"PSTV01": "7", "FKL30": "1234 - something rare"}
    claims = compared([*crowd(), claim(900, **again), *(claim(901 + n, **again) for n in range(copies))])
    second = claims[claim_id(901)]
    overall = copies / (201 + copies)
    own = min(copies, 3)
    assert second["repeat_share"] == pytest.approx((copies - own + 20 * overall) / (copies + 1 - own + 20))
    assert (second["excess_amount"] == 2_500_000) == (copies <= 3)


def test_the_very_same_bill_need_not_be_the_last_one(compared: Callable[..., Claims]) -> None:
    again = {"PSTV01": "7", "FKL30": "9301 - something"}
    bills = [("2022-09-01", "2500000"), ("2022-09-02", "2499999"), ("2022-09-03", "2500000"), ("2022-09-09", "2500000")]
    visits = [claim(900 + n, **again, FKL03=day, FKL04=day, FKL47=amount) for n, (day, amount) in enumerate(bills)]
    claims = [compared([*crowd(), *visits])[claim_id(900 + n)] for n in range(4)]
    assert [row["repeat_of"] for row in claims] == [None, claim_id(900), claim_id(900), None]
    assert [row["repeat_after_days"] for row in claims] == [None, 1, 2, 6]
    assert [row["repeat_identical"] for row in claims] == [None, False, True, None]
    assert claims[2]["excess_amount"] == 2_500_000


def test_a_number_of_many_facilities_repeats_nothing(compared: Callable[..., Claims]) -> None:
    again = {"PSTV01": "0", "FKL30": "9301 - something"}
    elsewhere = [visit(700 + n, f"2022-10-{1 + n:02d}", 8200 + n, PSTV01="0") for n in range(10)]
    pieces = [claim(910 + n, PSTV01="0", FKL03=f"2022-05-{1 + n:02d}", FKL04=f"2022-05-{1 + n:02d}") for n in range(2)]
    claims = compared([*crowd(), claim(900, **again), claim(901, **again), *pieces, *elsewhere])
    odd = claims[claim_id(901)]
    assert (odd["repeat_of"], odd["evidence_repeat"], odd["duplicate_gap_days"]) == (None, 0, 0)
    assert claims[claim_id(911)]["readmission_after_days"] is claims[claim_id(911)]["fragment_of"] is None


def test_a_number_of_many_facilities_makes_nobody_elses_repeats_rare(compared: Callable[..., Claims]) -> None:
    care = {"FKL30": "9301 - something"}
    honest = [claim(900 + n, **care, PSTV01=f"{n // 2}") for n in range(10)]
    honest += [claim(930 + n, PSTV01="7", FKL30=f"{n} - x", FKL03=f"2022-09-{4 - 3 * n:02d}") for n in range(2)]
    shared = [claim(700 + n, **care, FKL02=claim_id(700 + n, 8200 + n % 11), PSTV01="99999") for n in range(60)]
    alone, beside = (compared([*crowd(), *honest, *more]) for more in ([], shared))
    for number, column in ((901, "repeat_share"), (930, "fragment_share")):
        assert alone[claim_id(number)][column] == pytest.approx(beside[claim_id(number)][column])
        assert alone[claim_id(number)][column] is not None
