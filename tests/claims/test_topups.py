"""Special-CMG top-ups: which are unusual for a claim, and what of them is excess, on hand-made claims."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import Claims, claim, claim_id, crowd


def test_topups_are_no_inflation_but_unusual_ones_are_excess(compared: Callable[..., Claims]) -> None:
    topup = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    claims = compared([*crowd(), claim(900, **topup, FKL30="9999 - else")])
    odd = claims[claim_id(900)]
    assert odd["topup_codes"] == "DD-05-II"
    assert odd["topup_share"] == pytest.approx(0.5 / 201)
    assert odd["evidence_topup"] == pytest.approx(-math.log(0.5 / 201))
    assert odd["evidence_inflated_bill"] == 0
    assert odd["excess_amount"] == 1_000_000
    everybody = compared(crowd(**topup))
    assert {(row["excess_amount"], row["evidence_topup"] < 0.01) for row in everybody.values()} == {(0, True)}


def test_only_the_unusual_one_of_two_topups_is_excess(compared: Callable[..., Claims]) -> None:
    usual = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    both = usual | {"FKL38": "YY-01-I", "FKL40": "200000", "FKL47": "3700000"}
    odd = compared([*crowd(**usual), claim(900, **both, FKL30="9999 - else")])[claim_id(900)]
    assert (odd["topup_codes"], odd["topup_code"], odd["topup_code_amount"]) == ("YY-01-I;DD-05-II", "YY-01-I", 200_000)
    assert odd["excess_amount"] == 200_000


@pytest.mark.parametrize("amount", [2_000_000, 10_000_000])
def test_a_usual_topup_at_more_than_twice_its_usual_amount(compared: Callable[..., Claims], amount: int) -> None:
    usual = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    dear = usual | {"FKL46": str(amount), "FKL47": str(2_500_000 + amount)}
    odd = compared([*crowd(**usual), claim(900, **dear, FKL30="9999 - else")])[claim_id(900)]
    if amount == 2_000_000:
        assert (odd["topup_usual_amount"], odd["topup_with_code"], odd["excess_amount"]) == (None, None, 0)
        assert odd["topup_share"] == 1, "every claim of other facilities has it"
    else:
        assert (odd["topup_usual_amount"], odd["topup_with_code"]) == (1_000_000, 201)
        assert odd["excess_amount"] == 9_000_000
        assert odd["topup_share"] == pytest.approx(0.5 / 201)


def test_as_dear_topups_are_counted_together(compared: Callable[..., Claims]) -> None:
    usual = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    dear = [claim(n, **usual | {"FKL46": "9000000", "FKL47": "11500000"}, FKL30=f"{n} - else") for n in (900, 901)]
    claims = compared([*crowd(**usual), *dear])
    assert claims[claim_id(900)]["topup_share"] == claims[claim_id(901)]["topup_share"] == pytest.approx(1.5 / 202)


@pytest.mark.parametrize(("min_peers", "usual"), [("4", 1_000_000), ("5", None)])
def test_a_code_of_few_claims_has_no_usual_amount(
    compared: Callable[..., Claims], min_peers: str, usual: int | None
) -> None:
    topup = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    few = [claim(n, **topup, FKL30=f"{n} - else") for n in (900, 901, 902)]
    dear = claim(903, **topup | {"FKL46": "9000000", "FKL47": "11500000"}, FKL30="903 - else")
    claims = compared([*crowd(), *few, dear], CLAIMS_MIN_PEERS=min_peers)
    assert claims[claim_id(903)]["topup_usual_amount"] == usual


def test_a_code_without_an_amount_counts_as_having_it(compared: Callable[..., Claims]) -> None:
    named = [claim(n, FKL44="DD-05-II", FKL30=f"{n} - else") for n in range(700, 740)]
    odd = claim(900, FKL44="DD-05-II", FKL46="1000000", FKL47="3500000", FKL30="9999 - else")
    claims = compared([*crowd(), *named, odd])
    assert (claims[claim_id(900)]["topup_alike"], claims[claim_id(900)]["topup_n"]) == (41, 241)
    assert claims[claim_id(900)]["excess_amount"] == 0
    assert claims[claim_id(700)]["topup_share"] is None


def scans(with_topup: int, number: int) -> list[dict[str, str]]:
    """Claims of one facility with a diagnosis and a procedure that nobody else has, some with a top-up."""
    topup = {"FKL44": "II-03-II", "FKL46": "1000000", "FKL47": "3500000"}
    return [
        claim(n, FKL02=claim_id(n, 8188), FKL18="C73", FKL30="9205 - scan", **topup if n < 700 + with_topup else {})
        for n in range(700, 700 + number)
    ]


@pytest.mark.parametrize(
    ("with_topup", "number", "usual"),
    [(12, 20, True), (10, 20, False), (20, 40, False), (21, 40, True), (19, 19, False)],
)
def test_a_topup_belongs_to_its_procedure_where_most_have_it(
    compared: Callable[..., Claims], with_topup: int, number: int, usual: bool
) -> None:
    claims = compared([*crowd(), *scans(with_topup, number)], CLAIMS_MIN_PEERS="20")
    row = claims[claim_id(700, 8188)]
    if usual:
        assert (row["topup_diagnosis"], row["topup_procedure"]) == ("C73", "9205")
        assert (row["topup_alike"], row["topup_n"]) == (with_topup, number)
        assert row["topup_share"] == pytest.approx((with_topup - 0.5) / number)
    else:
        assert (row["topup_diagnosis"], row["topup_procedure"]) == (None, None)
        assert row["topup_share"] == pytest.approx((with_topup - 0.5) / (200 + number)), "of the INA-CBG"


def test_a_topup_without_the_procedure_it_belongs_to_is_as_rare_as_in_its_inacbg(
    compared: Callable[..., Claims],
) -> None:
    topup = {"FKL44": "II-03-II", "FKL46": "1000000", "FKL47": "3500000"}
    odd = claim(900, FKL02=claim_id(900, 8188), FKL18="C73", FKL30="9999 - else", **topup)
    row = compared([*crowd(), *scans(20, 20), odd], CLAIMS_MIN_PEERS="20")[claim_id(900, 8188)]
    assert (row["topup_diagnosis"], row["topup_procedure"]) == (None, None)
    assert row["topup_share"] == pytest.approx((21 - 0.5) / 221)


def test_a_topup_without_a_code_is_a_code(compared: Callable[..., Claims]) -> None:
    odd = compared([*crowd(), claim(900, FKL46="5000000", FKL47="7500000", FKL30="9999 - else")])[claim_id(900)]
    assert (odd["topup_codes"], odd["topup_code"], odd["topup_code_amount"]) == ("", "NONE", 5_000_000)
    assert odd["evidence_topup"] == pytest.approx(-math.log(0.5 / 201))
    assert odd["excess_amount"] == 5_000_000
