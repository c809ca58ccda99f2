"""When the auditors' API answers 503: no release yet, a live one that cannot be read, too many readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient

from ml.release import ReleaseStore
from ml.serving import reader
from ml.settings import Settings
from tests.nightly.claims_api import RUNBOOK, Served, got
from tests.nightly.conftest import Publish


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


def test_who_waits_for_a_thread_waits_no_longer_than_for_a_place(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places are taken, and 160 callers are four times as many as the threads."""
    monkeypatch.setattr(reader, "PATIENCE_SECONDS", 5.0)
    taken = threading.BoundedSemaphore(1)
    assert taken.acquire()
    monkeypatch.setattr(reader, "_places", taken)
    with served.client as client, ThreadPoolExecutor(160) as pool:
        began = time.monotonic()
        answers = [pool.submit(client.get, RUNBOOK) for _ in range(160)]
        time.sleep(1)
        assert client.get("/openapi.json").status_code == 200
        assert not any(answer.done() for answer in answers), "it waits behind the readers"
        assert {answer.result().status_code for answer in answers} == {503}
        assert time.monotonic() - began < 9, "those without a thread begin to count when they have one"


def test_a_journal_that_cannot_be_read_is_told_in_the_log(
    client: TestClient, publish: Publish, store: ReleaseStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    publish("night", qc=True)
    releases = settings.instance_dir / "releases"
    journal = releases / "journal.jsonl"
    journal.rename(journal.with_suffix(".aside"))
    journal.mkdir()
    detail = got(client, RUNBOOK, 503)["detail"]
    assert str(releases) not in detail
    assert "Is a directory" in caplog.text


def test_a_list_that_does_not_fit_into_a_requests_memory_is_no_damage(
    client: TestClient, publish: Publish, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish("night", qc=True)

    def does_not_fit(*_: object, **__: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block")

    monkeypatch.setattr(reader.Ask, "__call__", does_not_fit)
    [problem] = got(client, RUNBOOK, 422)["detail"]
    assert problem["loc"] == ["query", "page"]
    assert "narrow the filters" in problem["msg"]
    assert "verify" not in caplog.text
