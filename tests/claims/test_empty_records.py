"""Stays of which nothing is recorded, where nearly all stays of that INA-CBG have a procedure or another diagnosis."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import FACILITIES, Claims, Rows, claim, claim_id, crowd

NOTHING = {"FKL30": ""}


def empty_stays(numbers: range, at: int = 8187, **changes: str) -> Rows:
    return [claim(n, FKL02=claim_id(n, at), **NOTHING | changes) for n in numbers]


def evidence(share: float, weight: float = 1.0) -> float:
    return weight * 1.5 * min(max(-math.log(share) - 2, 0), 4)


def test_an_empty_record_stands_out_where_all_others_have_something(compared: Callable[..., Claims]) -> None:
    """What one in seven has says nothing, beyond that each nat one and a half."""
    short = {"FKL19": "K-4-17-I"}
    usual = [claim(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL30=f"{n} - x", **short) for n in range(300, 360)]
    often = empty_stays(range(400, 420), **short)
    claims = compared([*crowd(), *empty_stays(range(900, 902)), *usual, *often])
    odd, one_of_many = claims[claim_id(900)], claims[claim_id(400)]
    of_all = 22 / 282
    assert (odd["empty_alike"], odd["empty_n"], odd["empty_weight"]) == (2, 202, 1)
    assert odd["empty_share"] == pytest.approx((1 + 50 * of_all) / (201 + 50))
    assert odd["evidence_short_stay"] == pytest.approx(-math.log(odd["los_share_low"]) + evidence(odd["empty_share"]))
    assert one_of_many["empty_share"] is None, "a fifth of them are so"
    assert one_of_many["evidence_short_stay"] == pytest.approx(-math.log(one_of_many["los_share_low"]))
    assert {row["empty_share"] for row in claims.values() if row["procedure_count"]} == {None}


def test_a_procedure_or_a_secondary_diagnosis_is_something(compared: Callable[..., Claims]) -> None:
    with_diagnosis = {"FKL02": claim_id(900), "FKL24": "E119", "FKL24A": "E11", "FKL24B": "label"}
    claims = compared([*crowd(), *empty_stays(range(900, 902))], [with_diagnosis])
    assert claims[claim_id(900)]["empty_share"] is None
    assert claims[claim_id(901)]["empty_alike"] == 1


@pytest.mark.parametrize(("empty", "weight"), [(8, 1.0), (12, (0.7 - 11 / 21) / 0.3), (16, 0.0)])
def test_where_nobody_writes_anything_down_it_says_nothing(
    compared: Callable[..., Claims], empty: int, weight: float
) -> None:
    """Of 20 stays of a facility so many are empty; elsewhere hardly any."""
    own = empty_stays(range(900, 900 + empty), at=9999)
    rest = [claim(n, FKL02=claim_id(n, 9999), FKL30=f"{n} - x") for n in range(900 + empty, 920)]
    row = compared([*crowd(400), *own, *rest])[claim_id(900, 9999)]
    assert row["empty_weight"] == pytest.approx(weight)
    found = row["evidence_short_stay"] + math.log(row["los_share_low"])
    assert found == pytest.approx(evidence(row["empty_share"], weight))


def test_where_no_record_has_anything_none_is_empty(compared: Callable[..., Claims]) -> None:
    claims = compared(
        empty_stays(range(0, 60)), [{"FKL02": claim_id(0), "FKL24": "E119", "FKL24A": "E11", "FKL24B": "x"}]
    )
    assert {row["empty_share"] for row in claims.values()} == {None}
