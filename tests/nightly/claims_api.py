"""A client of the auditors' API with a good token, and what tests of the API ask it and look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from fastapi.testclient import TestClient
from pydantic import SecretStr

from ml.release import Release
from ml.serving import create_app
from ml.serving.tokens import make_token
from ml.settings import Settings

SECRET = "a-secret-for-tests-that-is-long-enough"
NOW = datetime.now(UTC)
RUNBOOK = "/claims/high-risk?service_type=RITL&severity=sedang&page_size=5"


def client_of(settings: Settings) -> TestClient:
    client = TestClient(create_app(settings.model_copy(update={"api_jwt_secret": SecretStr(SECRET)})))
    client.headers["Authorization"] = f"Bearer {make_token(SECRET, 'auditor-1', timedelta(hours=1), NOW)}"
    return client


@dataclass(frozen=True)
class Served:
    """The API of an instance with one good release, which no test may change."""

    client: TestClient
    live: Release


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
