"""A provider's claims with strong evidence of any pattern, and what is expected of its stays and visits."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.claims.conftest import Claims, claim, claim_id, crowd, outpatient

ODD = 8188


def test_strong_claims_are_counted_against_the_stays_and_visits(compared: Callable[..., Claims]) -> None:
    """8 nats of a high bill are strong, 7 are not; of what is probable among peers 5 are."""
    bills = {900: "2750000", 901: "2900000", 902: "4000000", 903: "4100000"}
    stays = [claim(n, FKL02=claim_id(n, ODD), FKL47=amount, FKL30=f"{n} - x") for n, amount in bills.items()]
    topup = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    added = claim(904, FKL02=claim_id(904, ODD), **topup, FKL30="904 - x")
    visits = [outpatient(n) for n in range(300, 400)]
    claims = compared([*crowd(), *stays, added, *visits])
    rows = [claims[claim_id(n, ODD)] for n in range(900, 905)]
    assert [row["evidence_inflated_bill"] >= 8 for row in rows] == [False, True, True, True, False]
    assert rows[0]["evidence_inflated_bill"] > 7
    assert 5 < rows[4]["evidence_topup"] < 8
    provider = rows[0]["provider"]
    assert provider["strong_observed"] == 4
    expected = 55 * 4 / 205  # of the 205 stays 55 are this hospital's; of 100 visits none is strong
    assert provider["strong_expected"] == pytest.approx(expected, abs=1e-6)
    ratio = (4 + 2) / (expected + 2)
    assert provider["deviance"] == pytest.approx(4 * math.log(ratio) - (ratio - 1) * expected)
    of_bills = 55 * 4 / 205
    # Of the four high bills, the claim itself left out; there is no habit of top-ups.
    habit = math.log((4 - 1 + 2) / (of_bills + 2))
    evidence = [2 * math.log(ratio) + own for own in [*[habit] * 4, 0]]
    assert [row["evidence_provider"] for row in rows] == pytest.approx(evidence)
    others = [row for row in claims.values() if row["facility_key"] != str(ODD)]
    assert {(row["provider"]["strong_observed"], row["evidence_provider"]) for row in others} == {(0, 0)}


def test_a_pattern_that_hardly_deviates_is_not_a_providers(compared: Callable[..., Claims]) -> None:
    """One claim shows a pattern by chance; its provider's reason is not to name it."""
    topup = {"FKL44": "DD-05-II", "FKL46": "1000000", "FKL47": "3500000"}
    one = claim(900, FKL02=claim_id(900, ODD), **topup, FKL30="900 - x")
    claims = compared([*crowd(), one])
    row = claims[claim_id(900, ODD)]
    [patterns] = [
        each["provider_patterns"]
        for each in claims.values()
        if each["facility_key"] == str(ODD) and each["provider_patterns"]
    ]
    [of_topups] = [pattern for pattern in patterns if pattern["pattern"] == "topup"]
    assert 0 < of_topups["deviance"] < 1
    assert (row["provider"]["pattern"], row["provider"]["observed"]) == (None, None)
