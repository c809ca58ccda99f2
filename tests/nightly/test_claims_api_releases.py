"""Which release the auditors' API reads: a pinned, a read, a withdrawn, a lost one, one of another ruleset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from ml import nightly
from ml.release import ReleaseStore, RunToken
from ml.rules import Ruleset, RulesetError, load_ruleset
from ml.serving import routes, schema
from ml.settings import Settings
from tests.nightly.claims_api import RUNBOOK, Served, client_of, got, ids
from tests.nightly.conftest import Publish, settings_of
from tests.release.conftest import write_candidate


def test_further_pages_can_stay_with_their_release(client: TestClient, publish: Publish) -> None:
    first = publish("first", qc=True).published.release_id
    pinned = f"/claims/high-risk?page_size=2&page=2&release={first}"
    before = got(client, pinned)
    second = publish("second", qc=True).published.release_id
    assert got(client, RUNBOOK)["meta"]["release_id"] == second
    assert got(client, pinned) == before
    assert before["meta"]["release_id"] == first
    claim = before["data"][0]
    one = got(client, f"/claims/{claim['claim_id']}?release={first}")
    assert (one["data"], one["meta"]["release_id"]) == (claim, first), "as it stands in the list, not as it is today"


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
    for path in ("claims/high-risk", "claims/x", "providers/high-risk"):
        assert "withdrawn" in got(client, f"/{path}?release={bad}", 410)["detail"]


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
    assert got(client_of(former), "/claims/high-risk?flag=severity_mismatch")["data"]
    [problem] = got(client_of(former), "/claims/high-risk?flag=upcoding", 422)["detail"]
    assert problem["loc"] == ["query", "flag"]
    assert "RULESET_v1" in problem["msg"]


def test_a_flag_that_only_the_former_ruleset_has_is_refused(served: Served) -> None:
    for flag in get_args(schema.Flag):
        raised = flag in load_ruleset("RULESET_v2").raises
        body = got(served.client, f"/claims/high-risk?min_risk=0&flag={flag}", 200 if raised else 422)
        assert raised or "RULESET_v2, which does not have it, but upcoding, " in body["detail"][0]["msg"]


def test_a_release_that_outlived_its_ruleset_is_still_filtered_by_flag(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(version: str) -> Ruleset:
        raise RulesetError(version)

    monkeypatch.setattr(routes, "load_ruleset", gone)
    assert got(served.client, "/claims/high-risk?min_risk=0&flag=repeat")["data"]
