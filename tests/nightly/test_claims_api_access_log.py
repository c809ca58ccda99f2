"""The log of who read what through the auditors' API, also when something unforeseen goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ml.serving import lists
from tests.nightly.claims_api import RUNBOOK, Served
from tests.nightly.conftest import Publish


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
    assert lines[0].startswith(f"'testclient' 'auditor-1' GET {RUNBOOK} -> 200, release {live}, ")
    assert "x%0AINFO%20forged -> 404" in lines[1]
    assert "\n" not in lines[1]
    assert len(lines[2]) < 1_200
    assert "service_type" not in lines[3], "of who is not known no more than the path"


def test_an_address_writes_no_lines_of_its_own(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    forged = TestClient(served.client.app, client=("\x1b[2J\n127.0.0.1 'auditor-2' GET /", 1))
    with caplog.at_level(logging.INFO, logger="ml.serving.access"):
        forged.get("/claims/high-risk")
    [line] = [record.getMessage() for record in caplog.records if record.name == "ml.serving.access"]
    assert line.isprintable()


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
