"""What a patient was billed before, on hand-made claims: fragments, overlaps, deaths, readmissions."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.claims.conftest import Claims, claim, claim_id, crowd, diagnosis, visit


def test_a_stay_inside_a_longer_one_does_not_part_it_from_what_continues_it(compared: Callable[..., Claims]) -> None:
    stays = [("09-01", "09-20"), ("09-03", "09-05"), ("09-21", "09-23")]
    visits = [
        claim(900 + n, PSTV01="7", FKL03=f"2022-{since}", FKL04=f"2022-{until}", FKL30=f"{n} - x")
        for n, (since, until) in enumerate(stays)
    ]
    claims = [compared([*crowd(), *visits])[claim_id(900 + n)] for n in range(3)]
    assert [row["fragment_gap_days"] for row in claims] == [1, None, 1]
    assert [row["fragment_of"] for row in claims] == [claim_id(902), None, claim_id(900)]


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_more_pieces_are_no_excuse_for_a_stay(compared: Callable[..., Claims], pieces: int) -> None:
    visits = [
        claim(900 + n, PSTV01="7", FKL03=f"2022-09-{1 + n:02d}", FKL04=f"2022-09-{1 + n:02d}", FKL30=f"{n} - x")
        for n in range(pieces)
    ]
    one = compared([*crowd(), *visits])[claim_id(900)]
    own, stays = min(pieces, 3), 200 + pieces
    expected = (pieces - own + 1 + 20 * pieces / stays) / (stays - own + 20)
    assert one["fragment_share"] == pytest.approx(expected)
    assert (one["fragment_alike"], one["fragment_n"]) == (pieces, stays)


def test_one_stay_billed_as_two(compared: Callable[..., Claims]) -> None:
    pieces = [
        claim(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-03", FKL30="1 - a"),
        claim(901, PSTV01="7", FKL03="2022-09-04", FKL04="2022-09-06", FKL30="2 - b"),
    ]
    elsewhere = claim(902, FKL02=claim_id(902, 8188), PSTV01="7", FKL03="2022-09-07", FKL04="2022-09-09", FKL30="3 - c")
    much_later = claim(903, PSTV01="7", FKL03="2022-09-20", FKL04="2022-09-22", FKL30="4 - d")
    claims = compared([*crowd(), *pieces, elsewhere, much_later])
    assert [claims[claim_id(n)]["fragment_gap_days"] for n in (900, 901, 903)] == [1, 1, None]
    assert claims[claim_id(902, 8188)]["evidence_fragmentation"] == claims[claim_id(903)]["evidence_fragmentation"] == 0
    expected = (2 - 2 + 1 + 20 * 2 / 204) / (204 - 2 + 20)
    assert claims[claim_id(900)]["fragment_share"] == pytest.approx(expected)
    habit = math.log((2 - 1 + 2) / (53 * 2 / 204 + 2))  # 53 of the 204 stays are this hospital's
    one = claims[claim_id(900)]
    assert (one["fragment_same"], one["fragment_long"]) == (True, False)
    assert one["evidence_fragmentation"] == pytest.approx(1 - math.log(expected) - 0.15 + 1.5 * habit)


@pytest.mark.parametrize(
    ("changes", "same", "long", "nats"),
    [
        ({}, True, False, 1),
        ({"FKL19": "A-4-14-II"}, False, False, -1),
        ({"FKL04": "2022-09-08"}, True, True, 0),
        ({"FKL19": "A-4-14-II", "FKL04": "2022-09-08"}, False, True, -2),
    ],
)
def test_a_cut_stay_is_coded_alike_and_of_ordinary_length(
    compared: Callable[..., Claims], changes: dict[str, str], same: bool, long: bool, nats: float
) -> None:
    """Who is readmitted is coded anew, and stays as long once more."""
    pieces = [
        claim(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-03", FKL30="1 - a"),
        claim(901, PSTV01="7", **{"FKL03": "2022-09-04", "FKL04": "2022-09-06", "FKL30": "2 - b"} | changes),
    ]
    longer = [claim(300 + n, FKL30=f"{9700 + n} - z", FKL04="2022-09-06") for n in range(40)]
    claims = compared([*crowd(), *longer, *pieces])
    for number in (900, 901):
        one = claims[claim_id(number)]
        assert (one["fragment_same"], one["fragment_long"]) == (same, long)
        habit = math.log((2 - 1 + 2) / (92 * 2 / 242 + 2))  # 92 of the 242 stays are this hospital's
        evidence = -math.log(one["fragment_share"]) - 0.15 + nats + 1.5 * max(habit, 0)
        assert one["evidence_fragmentation"] == pytest.approx(evidence)


@pytest.mark.parametrize(("day", "gap", "later"), [(5, 2, 0), (6, 3, 1), (10, 7, 1)])
def test_who_comes_back_later_is_ill_again(compared: Callable[..., Claims], day: int, gap: int, later: float) -> None:
    pieces = [
        claim(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-03", FKL30="1 - a"),
        claim(901, PSTV01="7", FKL03=f"2022-09-{day:02d}", FKL04=f"2022-09-{day + 2:02d}", FKL30="2 - b"),
    ]
    one = compared([*crowd(), *pieces])[claim_id(901)]
    assert one["fragment_gap_days"] == gap
    habit = math.log((2 - 1 + 2) / (52 * 2 / 202 + 2))  # 52 of the 202 stays are this hospital's
    evidence = 1 - math.log(one["fragment_share"]) - 0.15 * gap - later + 1.5 * habit  # 1: coded alike
    assert one["evidence_fragmentation"] == pytest.approx(evidence)


def test_a_usual_readmission_is_no_fragment_whatever_its_provider_does(compared: Callable[..., Claims]) -> None:
    """Where many come back, one who does after a week, coded anew and for long, says nothing, habit or not."""
    cut = [
        claim(number, PSTV01=f"{patient}", FKL03=first, FKL04=last, FKL30=f"{number} - a")
        for patient in range(700, 712)
        for number, first, last in (
            (2 * patient, "2022-09-01", "2022-09-02"), (2 * patient + 1, "2022-09-03", "2022-09-04"),
        )
    ]  # fmt: skip
    readmitted = [
        claim(900, PSTV01="7", FKL03="2022-08-01", FKL04="2022-08-03", FKL30="1 - a"),
        claim(901, PSTV01="7", FKL03="2022-08-10", FKL04="2022-08-19", FKL30="2 - b", FKL19="A-4-14-II"),
    ]
    claims = compared([*crowd(), *cut, *readmitted])
    assert claims[claim_id(1400)]["evidence_fragmentation"] > 2, "the facility has a habit"
    for number in (900, 901):
        one = claims[claim_id(number)]
        assert (one["fragment_gap_days"], one["fragment_long"]) == (7, True)
        assert one["evidence_fragmentation"] == 0


def test_other_secondary_diagnoses_are_another_stay(compared: Callable[..., Claims]) -> None:
    pieces = [
        claim(900 + n, PSTV01="7", FKL03=f"2022-09-0{1 + n}", FKL04=f"2022-09-0{1 + n}", FKL30=f"{n} - a")
        for n in range(2)
    ]
    alike = [diagnosis(0), *(diagnosis(n, code) for n in (900, 901) for code in ("J189", "E119"))]
    for codes, same in ((alike, True), (alike[:-1], False)):
        claims = compared([*crowd(), *pieces], codes)
        assert {claims[claim_id(n)]["fragment_same"] for n in (900, 901)} == {same}


def test_nobody_is_in_two_places(compared: Callable[..., Claims]) -> None:
    stay = {"PSTV01": "7", "FKL03": "2022-09-10", "FKL04": "2022-09-14"}
    visits = [visit(910 + n, f"2022-09-{10 + n}", PSTV01="7") for n in range(6)]
    longer = claim(901, PSTV01="7", FKL02=claim_id(901, 8188), FKL03="2022-09-12", FKL04="2022-09-20", FKL30="1 - a")
    claims = compared(
        [*crowd(), claim(900, **stay), longer, *visits, *(visit(700 + n, "2022-09-11") for n in range(94))]
    )
    of_visits = [claims[claim_id(910 + n, 8188)] for n in range(6)]
    first, second = claim_id(900), claim_id(901, 8188)
    assert [row["overlap_of"] for row in of_visits] == [None, first, first, second, second, second], "the longest"
    assert [row["overlap_day"] for row in of_visits] == [None, 1, 2, 1, 2, 3]
    assert [row["overlap_elsewhere"] for row in of_visits] == [None, True, True, False, False, False]
    assert (of_visits[1]["overlap_los"], of_visits[3]["overlap_los"]) == (4, 8)
    assert (of_visits[1]["overlap_alike"], of_visits[1]["overlap_n"]) == (5, 100)
    assert of_visits[1]["overlap_share"] == pytest.approx((5 - 0.5 + 20 * 5 / 100) / 120)
    assert of_visits[1]["evidence_overlap"] == pytest.approx(-math.log(5.5 / 120)), "no habit counted in"
    assert of_visits[3]["evidence_overlap"] == pytest.approx(-math.log(5.5 / 120) / 4), "its own stay says the rest"
    later = claims[claim_id(901, 8188)]
    assert (later["overlap_of"], later["overlap_day"], later["overlap_elsewhere"]) == (claim_id(900), 2, True)
    assert later["overlap_visit"] is False, "it begins in another stay, whatever visits are in it"
    assert of_visits[0]["evidence_overlap"] == 0


def test_a_stay_whose_patient_walks_into_a_clinic(compared: Callable[..., Claims]) -> None:
    stay = {"PSTV01": "7", "FKL03": "2022-09-10", "FKL04": "2022-09-14"}
    visits = [visit(910 + n, f"2022-09-{10 + n}", PSTV01="7") for n in range(6)]
    claims = compared([*crowd(), claim(900, **stay), *visits, *(visit(700 + n, "2022-09-11") for n in range(94))])
    one = claims[claim_id(900)]
    assert (one["overlap_of"], one["overlap_day"], one["overlap_los"]) == (claim_id(911, 8188), 1, 4), "the first"
    assert (one["overlap_visit"], one["overlap_elsewhere"], one["overlap_died"]) == (True, True, False)
    assert (one["overlap_alike"], one["overlap_n"]) == (1, 201)
    assert one["overlap_share"] == pytest.approx((1 - 0.5 + 20 * 1 / 201) / 221)
    assert one["evidence_overlap"] == pytest.approx(-math.log(one["overlap_share"]))
    on_the_edges = compared([*crowd(), claim(900, **stay), visits[0], visits[4]])
    assert on_the_edges[claim_id(900)]["overlap_of"] is None, "a clinic admits, and a hospital refers"


def test_a_facility_that_bills_during_stays_elsewhere_has_a_habit(compared: Callable[..., Claims]) -> None:
    days = {"FKL03": "2022-09-10", "FKL04": "2022-09-14"}
    stays = [claim(900 + n, PSTV01=f"{n}", FKL30=f"{9500 + n} - x", **days) for n in range(6)]
    odd = [visit(700 + n, "2022-09-12", PSTV01=f"{n}", FKL30=f"{9600 + n} - y") for n in range(6)]
    usual = [visit(300 + n, "2022-08-01", 8189, FKL30=f"{n} - z") for n in range(294)]
    one = compared([*crowd(), *stays, *odd, *usual])[claim_id(700, 8188)]
    expected = 6 * 6 / 300 + 50 * 6 / 206  # of its visits, and of its stays as often as anywhere
    habit = math.log((6 - 1 + 2) / (expected + 2))
    assert one["overlap_share"] == pytest.approx((6 - 0.5 + 20 * 6 / 300) / 320)
    assert one["evidence_overlap"] == pytest.approx(-math.log(one["overlap_share"]) + 1.5 * habit)
    assert (one["habit_pattern"], one["habit_observed"]) == ("overlap", 6)
    assert one["habit_expected"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("facilities", "overlaps"), [(10, True), (11, False)])
def test_a_number_that_many_facilities_bill_is_not_one_person(
    compared: Callable[..., Claims], facilities: int, overlaps: bool
) -> None:
    stay = claim(900, PSTV01="0000000000", FKL03="2022-09-10", FKL04="2022-09-14")
    elsewhere = [visit(700 + n, f"2022-10-{1 + n:02d}", 8200 + n, PSTV01="0000000000") for n in range(facilities - 2)]
    claims = compared([*crowd(), stay, visit(910, "2022-09-12", PSTV01="0000000000"), *elsewhere])
    assert (claims[claim_id(910, 8188)]["overlap_of"] == claim_id(900)) == overlaps


def test_twins_under_their_mothers_number_are_no_repeat(compared: Callable[..., Claims]) -> None:
    newborn = {"FKL18": "Z380", "FKL19": "P-8-17-I", "FKL30": "9955 - prophylactic vaccination"}
    births = [claim(300 + n, FKL02=claim_id(300 + n, 8187 + n % 4), **newborn) for n in range(400)]
    twins = [claim(900 + n, PSTV01="7", **newborn) for n in range(2)]
    again = [claim(910 + n, PSTV01="8", **newborn, FKL03=f"2022-09-0{1 + n}") for n in range(2)]
    claims = compared([*crowd(), *births, *twins, *again])
    assert {claims[claim_id(n)]["repeat_of"] for n in (900, 901)} == {None}
    assert {claims[claim_id(n)]["excess_amount"] for n in (900, 901)} == {0}
    assert claims[claim_id(911)]["repeat_of"] == claim_id(910), "born once"


def test_a_child_is_born_while_its_mother_is_in_hospital(compared: Callable[..., Claims]) -> None:
    mother = claim(900, PSTV01="7", FKL19="O-6-10-I", FKL03="2022-09-01", FKL04="2022-09-06", FKL30="900 - x")
    child = {"PSTV01": "7", "FKL03": "2022-09-03", "FKL04": "2022-09-20", "FKL19": "P-8-17-I", "FKL30": "901 - x"}
    later = visit(902, "2022-09-15", 8187, PSTV01="7")
    claims = compared([*crowd(), mother, claim(901, **child), later])
    assert all(row["overlap_of"] is None for row in claims.values())
    twice = compared([*crowd(), claim(901, **child), claim(903, **child | {"FKL03": "2022-09-10"})])
    assert twice[claim_id(903)]["overlap_of"] is None, "its twin, in another hospital since"


def test_a_twin_who_died_at_birth_is_no_fragment_of_the_other(compared: Callable[..., Claims]) -> None:
    twins = {"PSTV01": "7", "FKL19": "P-8-17-I", "FKL03": "2022-09-03"}
    rows = [
        claim(901, **twins, FKL04="2022-09-03", FKL14="4"),
        claim(902, **twins, FKL04="2022-09-08", FKL30="902 - x"),
    ]
    again = claim(903, **twins | {"FKL03": "2022-09-10"}, FKL04="2022-09-12", FKL30="903 - x")
    claims = compared([*crowd(), *rows])
    assert {claims[claim_id(n)]["fragment_of"] for n in (901, 902)} == {None}
    assert compared([*crowd(), *rows, again])[claim_id(903)]["fragment_of"] == claim_id(902), "two days later"


def test_a_newborn_is_not_readmitted_from_its_mothers_stay(compared: Callable[..., Claims]) -> None:
    mother = claim(900, PSTV01="7", FKL19="O-6-10-I", FKL03="2022-09-01", FKL04="2022-09-03", FKL30="900 - x")
    child = claim(901, PSTV01="7", FKL19="P-8-17-I", FKL03="2022-09-03", FKL04="2022-09-06", FKL30="901 - x")
    again = claim(902, PSTV01="7", FKL19="P-8-17-I", FKL03="2022-09-16", FKL04="2022-09-18", FKL30="902 - x")
    claims = compared([*crowd(), mother, child, again])
    assert claims[claim_id(901)]["readmission_after_days"] is None
    assert claims[claim_id(902)]["readmission_after_days"] == 10


def test_no_overlap_on_the_day_a_stay_ends(compared: Callable[..., Claims]) -> None:
    stay = claim(900, PSTV01="7", FKL03="2022-09-10", FKL04="2022-09-14")
    claims = compared([*crowd(), stay, *(visit(910 + n, f"2022-09-{13 + n}", PSTV01="7") for n in range(2))])
    assert [claims[claim_id(910 + n, 8188)]["overlap_of"] for n in range(2)] == [claim_id(900), None]


def test_no_claim_after_death(compared: Callable[..., Claims]) -> None:
    dies = {"PSTV01": "7", "FKL14": "4"}
    visits = [visit(910 + n, f"2022-09-{4 + n:02d}", PSTV01="7") for n in range(3)]
    claims = compared([*crowd(100, FKL14="4"), claim(900, **dies), *visits])
    after = [claims[claim_id(910 + n, 8188)] for n in range(3)]
    assert [row["overlap_of"] for row in after] == [None, None, claim_id(900)], "papers may be a day late"
    one = after[2]
    assert (one["overlap_died"], one["overlap_day"], one["overlap_los"], one["overlap_elsewhere"]) == (True, 2, 3, True)
    assert (one["overlap_alike"], one["overlap_n"]) == (1, 101)
    assert one["overlap_share"] == pytest.approx((1 - 0.5 + 20 / 50) / 121)
    assert one["evidence_overlap"] == pytest.approx(-math.log(one["overlap_share"]))
    assert claims[claim_id(900)]["overlap_of"] is None, "the death itself"


def test_a_number_of_many_facilities_dies_no_death(compared: Callable[..., Claims]) -> None:
    shared = [visit(700 + n, f"2022-01-{1 + n:02d}", 8200 + n, PSTV01="0") for n in range(11)]
    death = claim(900, PSTV01="0", FKL14="4")
    claims = compared([*crowd(100, FKL14="4"), *shared, death, visit(910, "2022-10-10", PSTV01="0")])
    assert claims[claim_id(910, 8188)]["overlap_of"] is None


@pytest.mark.parametrize(("kinds", "told"), [(20, True), (21, False)])
@pytest.mark.parametrize("of", [{"FKL19": "Q-5-{}-0"}, {"FKL18": "J{}"}], ids=["INA-CBGs", "diagnoses"])
def test_a_facilitys_own_placeholder_is_nobodys_number(
    compared: Callable[..., Claims], of: dict[str, str], kinds: int, told: bool
) -> None:
    """Nobody comes with more than 20 INA-CBGs or diagnoses, so two of these bills are of two patients."""
    others = [
        visit(700 + n, f"2022-01-{1 + n:02d}", PSTV01="0") | {name: kind.format(20 + n) for name, kind in of.items()}
        for n in range(kinds - 1)
    ]
    again = {"PSTV01": "0", "FKL04": "2022-09-09"}
    claims = compared([*crowd(), *others, claim(900, **again), claim(901, **again | {"FKL03": "2022-09-03"})])
    assert (claims[claim_id(901)]["evidence_repeat"] > 1) is told


@pytest.mark.parametrize(("days", "told"), [(51, True), (50, False)])
def test_a_clinic_that_treats_one_thing_writes_one_number_for_all(
    compared: Callable[..., Claims], days: int, told: bool
) -> None:
    """Nobody has more than 100 claims at more than two a day, so a bill sent twice is of two patients."""
    others = [
        visit(700 + n, f"{date(2022, 1, 1) + timedelta(days=n % days)}", PSTV01="0", FKL30=f"{8000 + n} - x")
        for n in range(98)
    ]
    again = [
        visit(900 + n, f"{date(2022, 1, 1) + timedelta(days=n * (days - 1))}", PSTV01="0", FKL30="1 - x")
        for n in range(2)
    ]
    last = visit(902, f"{date(2022, 1, 1) + timedelta(days=days - 1)}", PSTV01="0", FKL30="1 - x")
    claims = compared([*crowd(), *others, *again, last])
    assert (claims[claim_id(902, 8188)]["evidence_repeat"] > 1) is told


@pytest.mark.parametrize(
    ("dead", "death", "later", "kept"),
    [
        (100, {}, [(8188, {}), (8188, {}), (8188, {})], 3),
        (100, {}, [(8188, {}), (8188, {}), (8188, {}), (8188, {})], 0),  # lives on: a slip
        (100, {}, [(8188, {}), (8189, {})], 0),  # two facilities saw the patient alive
        (100, {"FKL14": "3"}, [(8188, {})], 0),  # left against advice
        (100, {"FKL19": "P-8-10-I"}, [(8188, {})], 0),  # the child died, the mother comes
        (100, {"FKL19": "O-6-10-I"}, [(8188, {"FKL19": "P-7-10-0"})], 0),  # the mother died, the child comes
        (20, {}, [(8188, {})], 1),
        (19, {}, [(8188, {})], 0),  # 1 in 20 who come back: the status means something else
    ],
)
def test_who_is_seen_alive_has_not_died(
    compared: Callable[..., Claims],
    dead: int,
    death: dict[str, str],
    later: list[tuple[int, dict[str, str]]],
    kept: int,
) -> None:
    visits = [
        visit(910 + n, f"2022-1{n % 3}-10", facility) | {"PSTV01": "7"} | changes
        for n, (facility, changes) in enumerate(later)
    ]
    claims = compared([*crowd(dead, FKL14="4"), claim(900, PSTV01="7", **{"FKL14": "4"} | death), *visits])
    assert sum(row["overlap_of"] == claim_id(900) for row in claims.values()) == kept


def test_readmissions_count_from_the_last_discharge_and_not_while_the_patient_is_in(
    compared: Callable[..., Claims],
) -> None:
    stays = [("05-01", "05-20"), ("05-05", "05-06"), ("05-22", "05-25"), ("05-25", "05-26"), ("08-01", "08-03")]
    claims = compared(
        [
            *crowd(),
            *(
                claim(900 + n, PSTV01="7", FKL03=f"2022-{first}", FKL04=f"2022-{last}", FKL30=f"{n} - x")
                for n, (first, last) in enumerate(stays)
            ),
        ]
    )
    assert [claims[claim_id(900 + n)]["readmission_after_days"] for n in range(5)] == [None, None, 2, 0, None]
