"""The API. Every route but `/health` asks for a token; each answer is of exactly one release and says which."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ml.claims import layout
from ml.nightly import store_of
from ml.release import Release, ReleaseStore
from ml.serving import schema
from ml.serving.reader import (
    NoReleaseError,
    NoSuchReleaseError,
    NotReadableError,
    chosen_release,
    kept_release,
    live_release,
    read,
    read_new,
)
from ml.serving.tokens import TokenError, subject_of
from ml.settings import Settings, SettingsError

log = logging.getLogger(__name__)
access_log = logging.getLogger("ml.serving.access")

DESCRIPTION = "Claims of Indonesia's national health insurance by fraud risk. A score is triage: a person decides."


@dataclass(frozen=True)
class _Instance:
    """What the routes read from."""

    store: ReleaseStore
    secret: str
    ruleset_version: str


def create_app(settings: Settings) -> FastAPI:
    """Return the API of an instance.

    Raises:
        SettingsError: CLAIMS_API_JWT_SECRET is not set.
    """
    if settings.api_jwt_secret is None:
        raise SettingsError(
            "CLAIMS_API_JWT_SECRET is not set. The API checks every token with it: 32 characters or more, e.g. from "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    app = FastAPI(
        title="Claims Risk Scoring",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,  # FastAPI's own asks for no token; ours does
        docs_url=None,
        redoc_url=None,
    )
    app.state.instance = _Instance(
        store_of(settings), settings.api_jwt_secret.get_secret_value(), settings.ruleset_version
    )
    app.include_router(_open)
    app.include_router(_guarded)
    app.middleware("http")(_log_access)
    app.exception_handler(NotReadableError)(_not_readable)
    app.exception_handler(NoSuchReleaseError)(_no_such_release)
    return app


def _instance(request: Request) -> _Instance:
    instance: _Instance = request.app.state.instance
    return instance


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A JWT (HS256) with `sub` and `exp`.")


def _authenticate(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    if given is None:
        raise _unauthorized("Send a token: `Authorization: Bearer ...`.")
    try:
        request.state.subject = subject_of(given.credentials, _instance(request).secret)
    except TokenError as error:
        raise _unauthorized(f"The token is not accepted: {error}.") from None


_open = APIRouter()
_guarded = APIRouter(dependencies=[Depends(_authenticate)])


@_open.get("/health", tags=["operation"])
def health(request: Request, response: Response) -> schema.Health:
    """Whether there is something to read; 503 where there is not."""
    try:
        live_release(_instance(request).store)
    except NotReadableError:
        response.status_code = 503
        return schema.Health(status="no release")
    return schema.Health(status="ok")


@_guarded.get("/claims/high-risk", tags=["claims"])
def high_risk_claims(request: Request, query: Annotated[schema.ClaimsQuery, Query()]) -> schema.ClaimsPage:
    """Claims by risk, or by what an audit could recover, with the reasons."""
    release = _release(request, query.release)
    before = None if query.new_since is None else kept_release(_instance(request).store, query.new_since, "new_since")
    filters = query.model_dump(exclude={"page", "page_size", "sort", "release", "new_since"})
    page = {"sort": query.sort, "page_size": query.page_size, "skipped": query.skipped}
    [[counted], rows] = read_new(
        release,
        before,
        query.min_risk,
        ("count_high_risk_claims", filters),
        ("high_risk_claims", {**filters, **page}),
    )
    meta = _page_meta(request, release, query, counted["total"])
    return schema.ClaimsPage.model_validate({"data": rows, "meta": meta})


@_guarded.get("/claims/{claim_id}", tags=["claims"])
def one_claim(request: Request, claim_id: str) -> schema.OneClaim:
    """One claim with its scores, whatever its risk."""
    release = _release(request, None)
    [rows] = read(release, ("claim", {"claim_id": claim_id}))
    if not rows:
        raise HTTPException(404, f"claim_id: no such claim among those up to {release.manifest.data_date}")
    return schema.OneClaim.model_validate({"data": rows[0], "meta": _meta(request, release)})


@_guarded.get("/providers/high-risk", tags=["providers"])
def high_risk_providers(request: Request, query: Annotated[schema.ProvidersQuery, Query()]) -> schema.ProvidersPage:
    """Providers by risk, with their habits."""
    release = _release(request, query.release)
    filters = {
        "province_name": None if query.province is None else layout.PROVINCES[query.province],
        "pattern": query.pattern,
    }
    page = {"page_size": query.page_size, "skipped": query.skipped}
    [[counted], rows] = read(
        release, ("count_high_risk_providers", filters), ("high_risk_providers", {**filters, **page})
    )
    meta = _page_meta(request, release, query, counted["total"])
    return schema.ProvidersPage.model_validate({"data": rows, "meta": meta})


@_guarded.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The description of this API, for tools that make clients of it."""
    described: dict[str, Any] = request.app.openapi()
    return described


def _release(request: Request, release_id: str | None) -> Release:
    release = chosen_release(_instance(request).store, release_id)
    request.state.release = release.id
    return release


def _meta(request: Request, release: Release) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "release_id": release.id,
        "data_date": manifest.data_date,
        "published_at": manifest.created_at,
        "qc_passed": _instance(request).store.qc_passed(release.id),
        "model_version": manifest.model_version,
        "ruleset_version": manifest.ruleset_version,
        "notice": _notice(_instance(request).ruleset_version, manifest.ruleset_version),
    }


def _page_meta(
    request: Request, release: Release, query: schema.ClaimsQuery | schema.ProvidersQuery, total: int
) -> dict[str, Any]:
    return {
        **_meta(request, release),
        "total": total,
        "page": query.page,
        "page_size": query.page_size,
        "pages": -(-total // query.page_size),
    }


def _notice(wanted: str, scored: str) -> str | None:
    """Scores are made once a night: a RULESET_VERSION that was changed since then does not hold for them yet."""
    if wanted == scored:
        return None
    return (
        f"Server API ini memakai RULESET_VERSION={wanted}, tetapi rilis yang tayang dinilai dengan {scored}. "
        f"Daftar berganti sesudah refresh dengan {wanted}."
    )


def _unauthorized(message: str) -> HTTPException:
    return HTTPException(401, message, headers={"WWW-Authenticate": "Bearer"})


def _not_readable(request: Request, error: Exception) -> JSONResponse:
    """Tell the operator why, in the log; the reader need not know this machine's folders."""
    log.error("%s: %s", _as_sent(request), error)
    detail = str(error) if isinstance(error, NoReleaseError) else "The scores cannot be read; the API's log says why."
    return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "60"})


def _no_such_release(request: Request, error: Exception) -> JSONResponse:
    del request
    return JSONResponse({"detail": str(error)}, 410)


def _as_sent(request: Request) -> str:
    """Path and query, still encoded, so that no line break of a caller's gets into the log."""
    query = request.scope["query_string"]
    sent: bytes = request.scope["raw_path"] + (b"?" + query if query else b"")
    return sent.decode("ascii", "backslashreplace")


async def _log_access(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say who read what: health data are specific personal data (UU PDP, Law 27/2022)."""
    started = time.perf_counter()
    response = await call_next(request)
    response.headers["Cache-Control"] = "no-store"
    if request.url.path != "/health":
        access_log.info(
            "%r %s %s -> %d, release %s, %.0f ms",
            getattr(request.state, "subject", None),
            request.method,
            _as_sent(request),
            response.status_code,
            getattr(request.state, "release", None),
            (time.perf_counter() - started) * 1000,
        )
    return response
