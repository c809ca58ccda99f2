"""GET /claims/high-risk and its neighbours, against what really stands in the releases."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jwt
import pyarrow.parquet as pq
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import SecretStr

from ml import nightly
from ml.pipelines import api_token
from ml.release import Release, ReleaseStore, RunToken
from ml.serving import create_app, lists, reader
from ml.serving.tokens import make_token
from ml.settings import Settings, SettingsError
from tests.nightly.conftest import Night, settings_of
from tests.release.conftest import write_candidate

Publish = Callable[..., Night]

SECRET = "a-secret-for-tests-that-is-long-enough"
NOW = datetime.now(UTC)
RUNBOOK = "/claims/high-risk?service_type=RITL&severity=sedang&page_size=5"


def client_of(settings: Settings) -> TestClient:
    client = TestClient(create_app(settings.model_copy(update={"api_jwt_secret": SecretStr(SECRET)})))
    client.headers["Authorization"] = f"Bearer {make_token(SECRET, 'auditor-1', timedelta(hours=1), NOW)}"
    return client


@pytest.fixture
def client(settings: Settings) -> TestClient:
    """The API of an instance without a release."""
    return client_of(settings)


@dataclass(frozen=True)
class Served:
    """The API of an instance with one good release, which no test may change."""

    client: TestClient
    live: Release


@pytest.fixture(scope="module")
def served(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    instance = tmp_path_factory.mktemp("served") / "instance"
    shutil.copytree(_prepared, instance, symlinks=True)
    settings, token = settings_of(instance), RunToken("night", 1)
    scored = nightly.score(settings, token)
    nightly.audit(settings, scored.folder)
    store = nightly.store_of(settings)
    live = nightly.publish(settings, token, scored.folder).release_id
    store.record_qc(live, passed=True, log=None)
    return Served(client_of(settings), store.get(live))


def rows_of(release: Release, query: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(release.database), read_only=True) as connection:
        rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
    return rows


def got(client: TestClient, path: str, status: int = 200) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


def ids(body: dict[str, Any]) -> list[str]:
    return [claim["claim_id"] for claim in body["data"]]


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
    ],
)
def test_each_filter_lets_through_what_it_says(served: Served, query: str, condition: str) -> None:
    [row] = rows_of(served.live, "SELECT mode(facility_key) AS facility FROM claims_high_risk")
    wanted = rows_of(served.live, f"SELECT claim_id FROM claims_high_risk WHERE {condition.format(**row)}")
    risk = "" if "min_risk" in query else "&min_risk=0"
    body = got(served.client, f"/claims/high-risk?{query.format(**row)}{risk}&page_size=200")
    assert body["meta"]["total"] == len(wanted)
    assert (len(wanted) > 0) == (condition != "FALSE")
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


def test_a_claim_has_its_reasons_and_nothing_of_a_persons_number(served: Served) -> None:
    riskiest = got(served.client, "/claims/high-risk?page_size=1")["data"][0]
    [row] = rows_of(served.live, "SELECT * FROM claims_high_risk ORDER BY risk_score DESC, ml_score DESC LIMIT 1")
    assert riskiest["reasons"] == json.loads(row["reasons"])
    assert riskiest["reasons"][0]["text_id"]
    told_once_a_release = {"model_version", "ruleset_version", "data_date", "scored_at"}
    assert set(riskiest) == set(row) - told_once_a_release
    assert not {name for name in riskiest if "patient" in name or "family" in name or "pstv" in name.lower()}
    assert got(served.client, f"/claims/{riskiest['claim_id']}")["data"] == riskiest
    assert "no such claim" in got(served.client, "/claims/81870922V999999", 404)["detail"]


def test_the_providers_stand_in_the_order_of_their_rank(served: Served) -> None:
    wanted = rows_of(served.live, "SELECT facility_key, reasons FROM provider_risk ORDER BY rank, facility_key")
    body = got(served.client, "/providers/high-risk?page_size=3&page=2")
    assert [(row["facility_key"], row["reasons"]) for row in body["data"]] == [
        (row["facility_key"], json.loads(row["reasons"])) for row in wanted[3:6]
    ]
    assert body["meta"]["total"] == len(wanted)
    [there] = rows_of(served.live, "SELECT count(*) AS n FROM provider_risk WHERE province_name = 'Jawa Barat'")
    assert got(served.client, "/providers/high-risk?province=32")["meta"]["total"] == there["n"] > 0
    habit, *_ = rows_of(
        served.live,
        "SELECT pattern, count(*) AS n FROM provider_risk WHERE pattern IS NOT NULL GROUP BY ALL ORDER BY n DESC",
    )
    assert got(served.client, f"/providers/high-risk?pattern={habit['pattern']}")["meta"]["total"] == habit["n"]


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
        ("flag=upcodin", "flag", "'upcoding', 'inflated_bill'"),
        ("sort=amount", "sort", "'risk' or 'excess'"),
    ],
)
def test_a_wrong_parameter_is_named(served: Served, query: str, field: str, message: str) -> None:
    [problem] = got(served.client, f"/claims/high-risk?{query}", 422)["detail"]
    assert problem["loc"] == ["query", field]
    assert message in problem["msg"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/claims/high-risk?service_type=RITL&service_type=RJTL", "service_type: given more than once"),
        ("/providers/high-risk?page=1&page=2", "page: given more than once"),
        ("/claims/x?release=y", "release: there is no such parameter"),
    ],
)
def test_what_would_be_ignored_is_refused(served: Served, path: str, named: str) -> None:
    assert named in got(served.client, path, 422)["detail"]


def test_nobody_is_sent_to_where_his_host_header_says(served: Served) -> None:
    answer = served.client.get("/claims/high-risk/", headers={"Host": "evil.example"}, follow_redirects=False)
    assert answer.status_code == 404


def test_a_province_that_no_list_knows_is_named_for_providers(served: Served) -> None:
    [problem] = got(served.client, "/providers/high-risk?province=30", 422)["detail"]
    assert "no BPS province code" in problem["msg"]


def tokens_that_must_not_let_in() -> dict[str, str | None]:
    now = datetime.now(UTC)  # of this test, not of the file's import: a long run would outlast "not yet"
    good = {"sub": "auditor-1", "exp": now + timedelta(hours=1)}
    return {
        "none": None,
        "no token": "",
        "not a token": "abc",
        "of another secret": make_token(SECRET[::-1], "auditor-1", timedelta(hours=1), now),
        "expired": make_token(SECRET, "auditor-1", timedelta(minutes=1), now - timedelta(hours=1)),
        "not signed": jwt.encode(good, None, algorithm="none"),
        "of another algorithm": jwt.encode(good, SECRET * 2, algorithm="HS512"),
        "without end": jwt.encode({"sub": "auditor-1"}, SECRET, algorithm="HS256"),
        "of nobody": jwt.encode({"exp": now + timedelta(hours=1)}, SECRET, algorithm="HS256"),
        "not yet valid": jwt.encode({**good, "nbf": now + timedelta(minutes=3)}, SECRET, algorithm="HS256"),
        "just expired": make_token(SECRET, "auditor-1", timedelta(minutes=1), now - timedelta(minutes=3)),
        "with a header that is no text": "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiXHVkODAwIl19.e30.AAAA",
    }


@pytest.mark.parametrize("kind", tokens_that_must_not_let_in())
def test_no_route_but_health_lets_in_without_a_good_token(served: Served, kind: str) -> None:
    token = tokens_that_must_not_let_in()[kind]
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    client = TestClient(served.client.app, headers=headers)
    paths = {
        each.path.format(claim_id="x")
        for router in client.app.router.routes
        for each in routes_of(router)  # type: ignore[attr-defined]
    }
    assert {"/health", "/claims/high-risk", "/claims/x", "/providers/high-risk", "/openapi.json"} <= paths
    for path in paths - {"/health"}:
        # A wrong parameter, too, must not come before the token.
        answer = client.get(path, params={"page": "wrong"})
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "claim_id" not in answer.text
    assert client.get("/health").json() == {"status": "ok"}


def routes_of(route: Any) -> list[APIRoute]:
    """Every route, also where FastAPI keeps a router as one."""
    if isinstance(route, APIRoute):
        return [route]
    inner = getattr(route, "routes", None) or getattr(getattr(route, "router", None), "routes", [])
    return [each for part in inner for each in routes_of(part)]


def test_the_command_makes_tokens_that_let_in(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAIMS_API_JWT_SECRET", SECRET)
    api_token.main(subject="auditor-2", hours=1)
    headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
    assert got(TestClient(served.client.app, headers=headers), RUNBOOK)


def test_without_a_secret_nothing_starts(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match="CLAIMS_API_JWT_SECRET is not set"):
        create_app(settings)
    with pytest.raises(SystemExit):
        api_token.main(subject="auditor-1", hours=1)
    assert "CLAIMS_API_JWT_SECRET" in capsys.readouterr().err


def test_further_pages_can_stay_with_their_release(client: TestClient, publish: Publish) -> None:
    first = publish("first", qc=True).published.release_id
    pinned = f"/claims/high-risk?page_size=2&page=2&release={first}"
    before = got(client, pinned)
    second = publish("second", qc=True).published.release_id
    assert got(client, RUNBOOK)["meta"]["release_id"] == second
    assert got(client, pinned) == before
    assert before["meta"]["release_id"] == first


def test_a_list_can_leave_out_what_was_read(tmp_path: Path) -> None:
    """By number: on the first night claims 0 to 4 are listed, 0 first; on the second 3 to 9, 3 first."""
    nights = {
        "first": [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2],
        "second": [0.1, 0.1, 0.1, 0.95, 0.65, 0.7, 0.75, 0.8, 0.9, 0.6],
    }
    store = ReleaseStore(tmp_path / "instance", threads=1)
    client = client_of(settings_of(tmp_path / "instance"))
    read = {}
    for night, risks in nights.items():

        def scored(rows: list[dict[str, Any]], risks: list[float] = risks) -> None:
            for row, risk in zip(rows, risks, strict=True):
                row |= {"risk_score": risk, "flags": [], "reasons": "[]"}

        candidate = write_candidate(tmp_path / night, model="MODEL_v1", change=scored, rows=len(risks))
        read[night] = store.publish(candidate, RunToken(night, 1)).release_id
    claims = [row["claim_id"] for row in pq.read_table(candidate.scores).to_pylist()]

    def listed(query: str) -> list[int]:
        body = got(client, f"/claims/high-risk?{query}")
        assert body["meta"]["total"] == len(body["data"])
        assert body["meta"]["release_id"] == read["second"]
        return [claims.index(claim) for claim in ids(body)]

    assert listed("") == [3, 8, 7, 6, 5, 4, 9]
    assert listed(f"read_release={read['first']}") == [8, 7, 6, 5, 9]
    assert listed(f"read_release={read['first']}&read_rows=3") == [3, 8, 7, 6, 5, 4, 9]
    assert listed(f"read_release={read['second']}&read_rows=3") == [6, 5, 4, 9]
    assert listed(f"read_release={read['first']}&min_risk=0.7") == [3, 8, 7, 6, 5], "3 was below 0.7, so not listed"
    # The list by rupiah is another one: of it, too, the first rows were read.
    by_excess = listed("sort=excess")
    assert by_excess != listed("")
    assert listed(f"read_release={read['second']}&sort=excess&read_rows=2") == by_excess[2:]
    assert listed(f"read_release={read['first']}&sort=excess") == [each for each in by_excess if each not in (3, 4)]
    store.record_qc(read["first"], passed=False, log=None)
    assert listed(f"read_release={read['first']}") == [8, 7, 6, 5, 9], "it was read all the same"
    refused = got(client, "/claims/high-risk?read_release=../x", 410)
    assert refused["detail"].startswith("read_release: this release is not kept")


def test_a_release_that_was_withdrawn_is_not_read_any_more(
    client: TestClient, publish: Publish, store: ReleaseStore
) -> None:
    publish("good", qc=True)
    bad = publish("bad").published.release_id
    assert got(client, f"/claims/high-risk?release={bad}")["meta"]["release_id"] == bad
    store.record_qc(bad, passed=False, log=None)
    store.restore("bad", reason="QC failed")
    for path in ("claims", "providers"):
        assert "withdrawn" in got(client, f"/{path}/high-risk?release={bad}", 410)["detail"]


def test_a_release_an_operator_went_back_from_is_not_read_any_more(
    client: TestClient, publish: Publish, store: ReleaseStore
) -> None:
    first = publish("first", qc=True).published.release_id
    second = publish("second", qc=True).published.release_id
    store.rollback(first, reason="wrong tariffs", who="operator")
    assert "withdrawn" in got(client, f"/claims/high-risk?release={second}", 410)["detail"]
    store.rollback(second, reason="they were right", who="operator")
    assert got(client, f"/claims/high-risk?release={second}")["meta"]["release_id"] == second
    assert "withdrawn" in got(client, f"/claims/high-risk?release={first}", 410)["detail"]


def test_a_release_that_was_replaced_before_its_qc_can_still_be_paged(client: TestClient, publish: Publish) -> None:
    first = publish("first").published.release_id
    publish("second", qc=True)
    for path in ("claims", "providers"):
        assert got(client, f"/{path}/high-risk?release={first}")["meta"]["release_id"] == first


@pytest.mark.parametrize("harm", ["collected", "damaged"])
@pytest.mark.parametrize("parameter", ["release", "read_release"])
def test_an_earlier_release_that_cannot_be_read_is_gone_and_the_live_one_is_not_blamed(
    client: TestClient, publish: Publish, store: ReleaseStore, harm: str, parameter: str
) -> None:
    first = store.get(publish("first", qc=True).published.release_id)
    publish("second", qc=True)
    first.path.chmod(0o755)
    first.database.chmod(0o644)
    if harm == "collected":  # its folder has just been emptied
        first.database.unlink()
    else:
        first.database.write_bytes(b"rubbish")
    detail = got(client, f"/claims/high-risk?{parameter}={first.id}", 410)["detail"]
    assert detail.startswith(f"{parameter}: this release is not kept any more, or cannot be read")


@pytest.mark.parametrize("release", ["20200101-x", "..", "../releases/x", "%2e%2e%2fdata"])
def test_a_release_that_is_not_kept_is_said_to_be_gone(served: Served, release: str) -> None:
    assert "not kept" in got(served.client, f"/claims/high-risk?release={release}", 410)["detail"]


def test_before_the_first_release_the_api_says_so(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get(RUNBOOK)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "No release is live yet" in answer.json()["detail"]
    assert got(client, "/health", 503) == {"status": "no release"}
    assert "No release is live yet" in caplog.text


def test_what_is_wrong_with_the_file_stands_in_the_log_not_in_the_answer(
    client: TestClient, publish: Publish, store: ReleaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    release = store.get(publish("night", qc=True).published.release_id)
    release.database.chmod(0o644)
    release.database.write_bytes(b"rubbish")
    detail = got(client, RUNBOOK, 503)["detail"]
    assert str(release.path) not in detail
    assert f"The release {release.id} cannot be read" in caplog.text


def test_a_row_that_does_not_fit_is_told_without_the_claim(
    client: TestClient, publish: Publish, store: ReleaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    release = store.get(publish("night", qc=True).published.release_id)
    release.path.chmod(0o755)
    release.database.chmod(0o644)
    with duckdb.connect(str(release.database)) as connection:
        connection.execute("ALTER TABLE claims_high_risk DROP COLUMN primary_diagnosis")
    got(client, "/claims/high-risk", 503)
    assert "primary_diagnosis" in caplog.text
    assert "input_value" not in caplog.text, "pydantic shows the row, cut short"


def test_few_requests_read_at_a_time_and_the_others_hold_up_neither_health_nor_refusals(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 callers are more than the threads that requests share."""
    monkeypatch.setattr(reader, "PATIENCE_SECONDS", 5.0)
    inside, most, go_on = 0, 0, threading.Event()
    really_opened = reader.opened

    @contextmanager
    def slowly_opened(*args: Any, **kwargs: Any) -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        go_on.wait(30)
        with really_opened(*args, **kwargs) as connection:
            yield connection
        inside -= 1

    monkeypatch.setattr(reader, "opened", slowly_opened)
    with served.client as client, ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(client.get, RUNBOOK) for _ in range(60)]
        time.sleep(1)
        began = time.monotonic()
        assert client.get("/health").status_code == 200
        assert client.get(RUNBOOK, headers={"Authorization": "Bearer abc"}).status_code == 401
        assert time.monotonic() - began < 3, "they wait behind the readers"
        time.sleep(5)
        go_on.set()
        statuses = [answer.result().status_code for answer in answers]
        busy = [answer.result() for answer in answers if answer.result().status_code == 503]
    assert most == reader.PLACES
    assert set(statuses) == {200, 503}
    assert {answer.headers["Retry-After"] for answer in busy} == {"5"}
    assert "others wait" in busy[0].json()["detail"]


def test_another_ruleset_of_the_server_is_said_and_changes_no_scores(
    settings: Settings, client: TestClient, publish: Publish
) -> None:
    publish("night", qc=True)
    before = got(client, RUNBOOK)
    after = got(client_of(settings.model_copy(update={"ruleset_version": "RULESET_v1"})), RUNBOOK)
    assert "RULESET_VERSION=RULESET_v1" in after["meta"].pop("notice")
    assert before["meta"].pop("notice") is None
    assert after == before


def test_a_release_of_the_former_ruleset_is_served_as_well(settings: Settings) -> None:
    former, token = settings.model_copy(update={"ruleset_version": "RULESET_v1"}), RunToken("night", 1)
    scored = nightly.score(former, token)
    nightly.audit(former, scored.folder)
    nightly.publish(former, token, scored.folder)
    body = got(client_of(former), "/claims/high-risk?page_size=200")
    assert (body["meta"]["ruleset_version"], body["meta"]["notice"]) == ("RULESET_v1", None)
    assert body["meta"]["qc_passed"] is None
    assert {"short_stay_high_cost", "severity_mismatch"} <= {flag for claim in body["data"] for flag in claim["flags"]}


def test_every_reader_is_named_in_the_log(
    client: TestClient, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    live = publish("night", qc=True).published.release_id
    with caplog.at_level(logging.INFO, logger="ml.serving.access"):
        client.get(RUNBOOK)
        client.get("/claims/x%0AINFO%20forged")
        client.get("/claims/high-risk?flag=" + 5_000 * "x")
        client.get(RUNBOOK, headers={"Authorization": "Bearer abc"})
    lines = [record.getMessage() for record in caplog.records if record.name == "ml.serving.access"]
    assert lines[0].startswith(f"testclient 'auditor-1' GET {RUNBOOK} -> 200, release {live}, ")
    assert "x%0AINFO%20forged -> 404" in lines[1]
    assert "\n" not in lines[1]
    assert len(lines[2]) < 1_200
    assert "service_type" not in lines[3], "of who is not known no more than the path"


def test_what_goes_wrong_unforeseen_stands_in_the_log_of_readers_too(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(lists, "claims", fails)
    client = TestClient(served.client.app, headers=dict(served.client.headers), raise_server_exceptions=False)
    with caplog.at_level(logging.INFO, logger="ml.serving.access"):
        assert client.get(RUNBOOK).status_code == 500
    assert f"'auditor-1' GET {RUNBOOK} -> 500, release {served.live.id}" in caplog.text
