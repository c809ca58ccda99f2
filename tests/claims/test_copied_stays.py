"""Copied stays: the whole coding of another patient's stay, at any time of the year, where hardly anybody has it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id, crowd

COPIED = {"FKL30": "1234 - the same"}


def stay(number: int, month: int, facility: int = FACILITIES[0], **changes: str) -> dict[str, str]:
    when = {"FKL03": f"2022-{month:02d}-10", "FKL04": f"2022-{month:02d}-13"}
    return claim(number, FKL02=claim_id(number, facility), **(COPIED | when | changes))


def copies(*, first: int = 900, facility: int = FACILITIES[0], **changes: str) -> Rows:
    """Four stays coded alike, a quarter of a year apart."""
    return [stay(first + n, 1 + 3 * n, facility, **changes) for n in range(4)]


def at_least(count: int, expected: float) -> float:
    """Of a Poisson number."""
    return 1 - math.exp(-expected) * sum(expected**n / math.factorial(n) for n in range(count))


def test_stays_coded_as_another_patients_all_over_the_year(compared: Callable[..., Claims]) -> None:
    claims = compared([*crowd(), *copies()])
    copy = claims[claim_id(901)]
    assert (copy["copy_count"], copy["copy_of"]) == (3, [claim_id(n) for n in (900, 902, 903)])
    assert claims[claim_id(900)]["copy_count"] == 3, "which of them was the first nobody knows"
    assert (copy["copy_elsewhere"], copy["copy_n"]) == (0, 150)
    expected = 53 * 0.5 / 160
    assert copy["copy_expected"] == pytest.approx(expected)
    assert copy["copy_share"] == pytest.approx(1 / 160), "nobody else has one"
    by_chance = 54 * at_least(3, expected) + 150 * at_least(3, 49 * 0.5 / 164)
    assert (by_chance + 0.5) / 4.5 < 0.35, "so in full"
    own = math.log(160)
    habit = math.log((4 - 1 + 2) / (4 * 54 / 204 + 2))
    assert copy["evidence_clone"] == pytest.approx(own + 1.5 * habit * own / 10)
    assert claims[claim_id(4)]["copy_count"] is None
    assert claims[claim_id(4)]["evidence_clone"] == 0


def test_more_than_three_count_as_three_and_three_are_named(compared: Callable[..., Claims]) -> None:
    here = [*copies(), stay(904, 3), stay(905, 9)]
    there = copies(first=910, facility=FACILITIES[1], FKL30="77 - another")
    copy = compared([*crowd(), *here, *there])[claim_id(902)]
    assert (copy["copy_count"], copy["copy_of"]) == (5, [claim_id(n) for n in (900, 901, 903)])
    assert copy["copy_share"] == pytest.approx((4 + 1) / (154 + 10)), "those four elsewhere are as odd"


def test_copies_are_no_excuse_for_copies_of_the_same_facility(compared: Callable[..., Claims]) -> None:
    more = copies(first=910, FKL30="4321 - another")
    assert compared([*crowd(), *copies(), *more])[claim_id(901)]["copy_share"] == pytest.approx(1 / 160)


def test_two_alike_are_chance_where_as_many_would_be(compared: Callable[..., Claims]) -> None:
    """Of two hundred stays two dozen would be in pairs by chance."""
    claims = compared([*crowd(), stay(900, 2), stay(901, 8)])
    assert claims[claim_id(901)]["copy_count"] is None
    assert claims[claim_id(901)]["evidence_clone"] == 0


@pytest.mark.parametrize(
    "last",
    [
        pytest.param({"PSTV01": "9900"}, id="of the same patient"),
        pytest.param({"FKL02": claim_id(903, FACILITIES[1])}, id="at another facility"),
        pytest.param({"FKL16": "A011"}, id="admitted with another diagnosis"),
        pytest.param({"FKL30": "1235 - another"}, id="with another procedure"),
    ],
)
def test_what_is_no_copy(compared: Callable[..., Claims], last: dict[str, str]) -> None:
    rows = copies()
    rows[0]["PSTV01"] = "9900"
    rows[3] |= last
    claims = compared([*crowd(), *rows])
    assert claims[claim_id(901)]["copy_count"] == 2, "the other two are"
    assert claims[claim_id(901)]["copy_of"] == [claim_id(900), claim_id(902)]


def test_newborns_are_all_alike(compared: Callable[..., Claims]) -> None:
    born = {"FKL19": "P-8-17-I", "FKL20": "P", "FKL18": "Z380", "FKL16": "Z380"}
    claims = compared([*crowd(), *copies(**born)])
    assert claims[claim_id(901)]["copy_count"] is None


def test_a_text_that_others_have_is_no_copy(compared: Callable[..., Claims]) -> None:
    """A tenth of all others are coded so: five of the facility's fifty would be by chance."""
    usual = [{**row, **COPIED} if n % 10 == 1 else row for n, row in enumerate(crowd())]
    claims = compared([*usual, *copies()])
    assert claims[claim_id(901)]["copy_count"] is None


@pytest.mark.parametrize(("fixed", "weight"), [(24, 1), (32, 0.3), (36, 0)])
def test_a_coder_with_fixed_texts_copies_nothing(compared: Callable[..., Claims], fixed: int, weight: float) -> None:
    """Of the facility's 50 stays so many are alike in fours: in full up to half of them, not at all from 0.7 on."""
    rows = crowd()
    for n in range(fixed):
        rows[4 + 4 * n]["FKL30"] = f"{7000 + n // 4} - text"
    claims = compared(rows)
    alike = [claims[claim_id(4 + 4 * n)] for n in range(fixed)]
    own = weight * math.log(160)
    habit = math.log((fixed - 1 + 2) / (fixed * 50 / 200 + 2)) if weight == 1 else 0
    assert {row["copy_count"] for row in alike} == ({3} if weight else {None})
    assert [row["evidence_clone"] for row in alike] == pytest.approx([own + 1.5 * habit * own / 10] * fixed, abs=0.05)


def test_a_burst_is_told_as_clones(compared: Callable[..., Claims]) -> None:
    """The same amount within a month says more than the coding alone."""
    claims = compared([*crowd(), *(stay(n, 9) for n in range(900, 905))])
    assert claims[claim_id(901)]["clone_count"] == 4
    assert claims[claim_id(901)]["copy_count"] is None
