"""Who is let in to the auditors' API: every kind of bad token, the command's good one, and no secret at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from ml.pipelines import api_token
from ml.serving import create_app
from ml.serving.tokens import TokenError, make_token, subject_of
from ml.settings import Settings, SettingsError
from tests.nightly.claims_api import RUNBOOK, SECRET, Served, got


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
        "of an empty name": jwt.encode({**good, "sub": " "}, SECRET, algorithm="HS256"),
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
        each.path.replace(":path}", "}").format(claim_id="x")
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


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": 42}, "its `sub` must be text"),
        ({"sub": "auditor-1", "iat": "yesterday"}, "its `iat` must be a number of seconds"),
        ({"sub": " "}, "it must say `sub` and `exp`"),
    ],
)
def test_who_makes_tokens_elsewhere_is_told_what_is_wrong_with_them(claims: dict[str, Any], why: str) -> None:
    token = jwt.encode({"exp": datetime.now(UTC) + timedelta(hours=1)} | claims, SECRET, algorithm="HS256")
    with pytest.raises(TokenError, match=why):
        subject_of(token, SECRET)


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
