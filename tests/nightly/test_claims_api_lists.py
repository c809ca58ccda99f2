"""GET /claims/high-risk and its neighbours, against what really stands in the live release."""

from __future__ import annotations

import json

import pytest

from tests.nightly.claims_api import RUNBOOK, Served, got, ids, rows_of


def test_the_runbooks_query_gives_the_riskiest_claims_of_the_live_release(served: Served) -> None:
    body = got(served.client, RUNBOOK + "&min_risk=0.2")
    wanted = rows_of(
        served.live,
        "SELECT claim_id, risk_score FROM claims_high_risk WHERE service_type = 'RITL' AND severity_group = 'sedang' "
        "AND risk_score >= 0.2 ORDER BY risk_score DESC, ml_score DESC, amount_claimed DESC, claim_id",
    )
    assert len(wanted) > 5
    assert [(claim["claim_id"], claim["risk_score"]) for claim in body["data"]] == [
        (row["claim_id"], row["risk_score"]) for row in wanted[:5]
    ]
    live = served.live.manifest
    assert body["meta"] == {
        "total": len(wanted),
        "page": 1,
        "page_size": 5,
        "pages": -(-len(wanted) // 5),
        "release_id": served.live.id,
        "data_date": str(live.data_date),
        "published_at": live.created_at.isoformat().replace("+00:00", "Z"),
        "qc_passed": True,
        "model_version": live.model_version,
        "ruleset_version": "RULESET_v2",
        "notice": None,
    }


def test_long_answers_are_packed_for_who_can_unpack_them(served: Served) -> None:
    page = "/claims/high-risk?min_risk=0&page_size=200"
    plain, packed = (served.client.get(page, headers={"Accept-Encoding": how}) for how in ("identity", "gzip"))
    assert "Content-Encoding" not in plain.headers
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert packed.headers["Cache-Control"] == "no-store"
    assert packed.json() == plain.json()
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 3
    short = served.client.get("/claims/x", headers={"Accept-Encoding": "gzip"})
    assert (short.status_code, "Content-Encoding" in short.headers) == (404, False)


def test_high_risk_begins_at_a_half(served: Served) -> None:
    [row] = rows_of(served.live, "SELECT count(*) AS claims FROM claims_high_risk WHERE risk_score >= 0.5")
    body = got(served.client, "/claims/high-risk")
    assert body["meta"]["total"] == row["claims"] > 0


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("service_type=rjtl", "service_type = 'RJTL'"),
        ("severity=Berat", "severity_group = 'berat'"),
        ("province=32", "province_code = 32"),
        ("province=99", "FALSE"),
        ("flag=repeat", "list_contains(flags, 'repeat')"),
        ("min_risk=0.3", "risk_score >= 0.3"),
        ("min_excess=100000", "excess_amount >= 100000"),
        ("facility={facility}", "facility_key = '{facility}'"),
        ("discharged_from={day}", "discharge_date >= DATE '{day}'"),
        ("discharged_to={day}", "discharge_date <= DATE '{day}'"),
        ("discharged_from={day}&discharged_to={day}", "discharge_date = DATE '{day}'"),
    ],
)
def test_each_filter_lets_through_what_it_says(served: Served, query: str, condition: str) -> None:
    [row] = rows_of(
        served.live, "SELECT mode(facility_key) AS facility, mode(discharge_date) AS day FROM claims_high_risk"
    )
    [row_count] = rows_of(served.live, "SELECT count(*) AS claims FROM claims_high_risk")
    wanted = rows_of(served.live, f"SELECT claim_id FROM claims_high_risk WHERE {condition.format(**row)}")
    risk = "" if "min_risk" in query else "&min_risk=0"
    body = got(served.client, f"/claims/high-risk?{query.format(**row)}{risk}&page_size=200")
    assert body["meta"]["total"] == len(wanted)
    assert (len(wanted) > 0) == (condition != "FALSE")
    assert len(wanted) < row_count["claims"]
    assert set(ids(body)) <= {claim["claim_id"] for claim in wanted}


@pytest.mark.parametrize("sort", ["risk", "excess"])
def test_the_pages_hold_every_claim_once_and_in_order(served: Served, sort: str) -> None:
    first = got(served.client, f"/claims/high-risk?min_risk=0&page_size=200&sort={sort}")
    pages = [
        got(served.client, f"/claims/high-risk?min_risk=0&page_size=200&sort={sort}&page={page}")
        for page in range(1, first["meta"]["pages"] + 2)
    ]
    claims = [claim for page in pages for claim in page["data"]]
    all_claims = rows_of(served.live, "SELECT claim_id FROM claims_high_risk")
    assert pages[-1]["data"] == []
    assert len(claims) == len(all_claims) == pages[-1]["meta"]["total"]
    assert {claim["claim_id"] for claim in claims} == {claim["claim_id"] for claim in all_claims}
    value = {"risk": "risk_score", "excess": "excess_amount"}[sort]
    assert [claim[value] for claim in claims] == sorted((claim[value] for claim in claims), reverse=True)


@pytest.mark.parametrize(("sort", "value"), [("risk", "risk_score"), ("excess", "excess_amount")])
def test_a_list_of_many_facilities(served: Served, sort: str, value: str) -> None:
    order = f"{value} DESC, risk_score DESC, ml_score DESC, amount_claimed DESC, claim_id"
    wanted = rows_of(
        served.live,
        "SELECT claim_id, facility_key FROM claims_high_risk "
        f"QUALIFY row_number() OVER (PARTITION BY facility_key ORDER BY {order}) <= 15 ORDER BY {order}",
    )
    query = f"/claims/high-risk?min_risk=0&sort={sort}&max_per_facility=15&page_size=10"
    first, second = got(served.client, query), got(served.client, query + "&page=2")
    assert len(wanted) >= 40
    assert ids(first) + ids(second) == [row["claim_id"] for row in wanted[:20]]
    assert first["meta"]["total"] == len(wanted) < got(served.client, "/claims/high-risk?min_risk=0")["meta"]["total"]
    later = [got(served.client, query + f"&read_release={served.live.id}&read_rows={rows}") for rows in (10, 20)]
    days = ids(first) + ids(later[0]) + ids(later[1])
    assert days == [row["claim_id"] for row in wanted[:30]], "no day repeats what was read, none hides what was not"
    assert [day["meta"]["total"] for day in later] == [len(wanted) - 10, len(wanted) - 20]


def test_a_claim_has_its_reasons_and_nothing_of_a_persons_number(served: Served) -> None:
    riskiest = got(served.client, "/claims/high-risk?page_size=1")["data"][0]
    [row] = rows_of(served.live, "SELECT * FROM claims_high_risk ORDER BY risk_score DESC, ml_score DESC LIMIT 1")
    assert riskiest["reasons"] == json.loads(row["reasons"])
    assert riskiest["reasons"][0]["text_id"]
    told_once_a_release = {"model_version", "ruleset_version", "data_date", "scored_at"}
    assert set(riskiest) == set(row) - told_once_a_release
    assert not {name for name in riskiest if "patient" in name or "family" in name or "pstv" in name.lower()}
    assert got(served.client, f"/claims/{riskiest['claim_id']}")["data"] == riskiest
    for unknown in ("81870922V999999", "KLAIM/000001", "KLAIM%2F000001"):
        assert "no such claim" in got(served.client, f"/claims/{unknown}", 404)["detail"]


def test_the_providers_stand_in_the_order_of_their_rank(served: Served) -> None:
    told = ("facility_key", "deviance", "strong_observed", "strong_expected")
    wanted = rows_of(served.live, f"SELECT {', '.join(told)}, reasons FROM provider_risk ORDER BY rank, facility_key")
    body = got(served.client, "/providers/high-risk?page_size=3&page=2")
    assert [row["reasons"] for row in body["data"]] == [json.loads(row["reasons"]) for row in wanted[3:6]]
    assert [[row[name] for name in told] for row in body["data"]] == [
        [row[name] for name in told] for row in wanted[3:6]
    ]
    assert body["meta"]["total"] == len(wanted)
    [there] = rows_of(served.live, "SELECT count(*) AS n FROM provider_risk WHERE province_name = 'Jawa Barat'")
    assert got(served.client, "/providers/high-risk?province=32")["meta"]["total"] == there["n"] > 0
    riskiest = got(served.client, "/claims/high-risk?page_size=1")["data"][0]
    [its] = got(served.client, f"/providers/high-risk?facility={riskiest['facility_key']}")["data"]
    assert (its["rank"], its["facility_key"]) == (riskiest["provider_rank"], riskiest["facility_key"])
    assert got(served.client, "/providers/high-risk?facility=x")["meta"]["total"] == 0
    for pattern in ("severity", "inflated_bill", "repeat", "clone"):  # in a small sample none need have a clear habit
        [habit] = rows_of(served.live, f"SELECT count(*) AS n FROM provider_risk WHERE pattern = '{pattern}'")
        assert (
            got(served.client, f"/providers/high-risk?pattern={pattern}")["meta"]["total"] == habit["n"] < len(wanted)
        )
