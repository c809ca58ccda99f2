"""What a caller asks the auditors' API for wrongly: it is refused, and what is wrong is named."""

from __future__ import annotations

import pytest

from tests.nightly.claims_api import Served, got


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("servicetype=RITL", "servicetype", "not permitted"),
        ("service_type=RITX", "service_type", "'RITL' or 'RJTL'"),
        ("severity=fatal", "severity", "'rawat_jalan', 'ringan', 'sedang' or 'berat'"),
        ("page_size=201", "page_size", "less than or equal to 200"),
        ("page=0", "page", "greater than or equal to 1"),
        ("min_risk=nan", "min_risk", "finite number"),
        ("province=Jakarta", "province", "valid integer"),
        ("province=3_2", "province", "in digits"),
        ("page=1_000", "page", "in digits"),
        ("min_risk=0_1", "min_risk", "in digits"),
        ("flag=upcodin", "flag", "'upcoding', 'inflated_bill'"),
        ("discharged_from=20220101", "discharged_from", "as YYYY-MM-DD"),
        ("discharged_to=0", "discharged_to", "as YYYY-MM-DD"),
        ("discharged_to=2022-02-30", "discharged_to", "valid date"),
        ("discharged_from=2022-02-02&discharged_to=2022-02-01", "discharged_to", "before discharged_from"),
        ("sort=amount", "sort", "'risk' or 'excess'"),
        ("read_rows=50", "read_rows", "read_release must say which"),
    ],
)
def test_a_wrong_parameter_is_named(served: Served, query: str, field: str, message: str) -> None:
    [problem] = got(served.client, f"/claims/high-risk?{query}", 422)["detail"]
    assert problem["loc"] == ["query", field]
    assert message in problem["msg"]


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("/claims/high-risk?service_type=RITL&service_type=RJTL", "service_type", "given more than once"),
        ("/providers/high-risk?page=1&page=2", "page", "given more than once"),
        ("/claims/x?relase=y", "relase", "not permitted"),
        ("/claims/x?release=y&release=z", "release", "given more than once"),
    ],
)
def test_what_would_be_ignored_is_refused(served: Served, path: str, field: str, message: str) -> None:
    [problem] = got(served.client, path, 422)["detail"]
    assert problem["loc"] == ["query", field]
    assert message in problem["msg"]


@pytest.mark.parametrize("path", ["/claims/high-risk", "/claims/{claim_id}", "/providers/high-risk"])
def test_what_is_refused_is_described(served: Served, path: str) -> None:
    described = got(served.client, "/openapi.json")
    answers = described["paths"][path]["get"]["responses"]
    forms = {status: answer["content"]["application/json"]["schema"]["$ref"] for status, answer in answers.items()}
    text = {"401", "410", "503"} | ({"404"} if "{" in path else set())
    assert {status for status, form in forms.items() if form == "#/components/schemas/Error"} == text
    assert set(forms) == text | {"200", "422"}
    assert forms["422"].endswith("/HTTPValidationError")
    assert set(answers["503"]["headers"]) == {"Retry-After"}
    assert set(answers["401"]["headers"]) == {"WWW-Authenticate"}
    assert set(described["paths"]["/health"]["get"]["responses"]) == {"200", "503"}


def test_nobody_is_sent_to_where_his_host_header_says(served: Served) -> None:
    answer = served.client.get("/claims/high-risk/", headers={"Host": "evil.example"}, follow_redirects=False)
    assert answer.status_code == 404


def test_a_province_that_no_list_knows_is_named_for_providers(served: Served) -> None:
    for province, message in (("30", "no BPS province code"), ("3_2", "in digits")):
        [problem] = got(served.client, f"/providers/high-risk?province={province}", 422)["detail"]
        assert message in problem["msg"]
