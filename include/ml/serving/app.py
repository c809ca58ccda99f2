"""The API. Every route but `/health` asks for a token; each answer is of exactly one release and says which."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse

from ml.nightly import store_of
from ml.serving.reader import BusyError, NoReleaseError, NoSuchReleaseError, NotReadableError, TooManyClaimsError
from ml.serving.routes import Instance, guarded_routes, open_routes, problem
from ml.settings import Settings, SettingsError

log = logging.getLogger(__name__)
access_log = logging.getLogger("ml.serving.access")

LOGGED_BYTES = 1_000
PACKED_FROM_BYTES = 2_000
PACKING_LEVEL = 5
DESCRIPTION = "Claims of Indonesia's national health insurance by fraud risk. A score is triage: a person decides."


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
        redirect_slashes=False,  # would send the caller to the address in his Host header
    )
    app.state.instance = Instance(
        store_of(settings), settings.api_jwt_secret.get_secret_value(), settings.ruleset_version
    )
    app.include_router(open_routes)
    app.include_router(guarded_routes)
    # Inside of the log, which hands answers on in pieces whose size nobody knows: small ones would be packed, too.
    app.add_middleware(GZipMiddleware, minimum_size=PACKED_FROM_BYTES, compresslevel=PACKING_LEVEL)
    app.middleware("http")(_log_access)
    app.exception_handler(NotReadableError)(_not_readable)
    app.exception_handler(OSError)(_not_readable)  # the disk, or what lies where the journal should
    app.exception_handler(TooManyClaimsError)(_too_many_claims)
    app.exception_handler(NoSuchReleaseError)(_no_such_release)
    app.exception_handler(BusyError)(_busy)
    return app


def _not_readable(request: Request, error: Exception) -> JSONResponse:
    """Tell the operator why, in the log; the reader need not know this machine's folders."""
    log.error("%s: %s", _as_sent(request), error)
    detail = str(error) if isinstance(error, NoReleaseError) else "The scores cannot be read; the API's log says why."
    return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "60"})


def _no_such_release(request: Request, error: Exception) -> JSONResponse:
    del request
    return JSONResponse({"detail": str(error)}, 410)


def _too_many_claims(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: %s", _as_sent(request), error)
    parameter, _, message = str(error).partition(": ")
    return JSONResponse({"detail": [problem(parameter, message)]}, 422)


def _busy(request: Request, error: Exception) -> JSONResponse:
    del request
    return JSONResponse({"detail": str(error)}, 503, headers={"Retry-After": "5"})


def _as_sent(request: Request) -> str:
    """Path and query, still encoded, so that no line break of a caller's gets into the log, and of bounded length.

    The query only of who is known: others could fill the log, or leave a token in it.
    """
    known = getattr(request.state, "subject", None) is not None
    query = request.scope["query_string"] if known else b""
    sent: bytes = request.scope["raw_path"] + (b"?" + query if query else b"")
    return sent[:LOGGED_BYTES].decode("ascii", "backslashreplace")


async def _log_access(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say who read what: health data are specific personal data (UU PDP, Law 27/2022)."""
    started = time.perf_counter()
    status = 500
    try:
        response = await call_next(request)
        response.headers["Cache-Control"] = "no-store"
        status = response.status_code
        return response
    finally:
        if request.url.path != "/health":
            access_log.info(
                "%r %r %s %s -> %d, release %s, %.0f ms",
                request.client.host if request.client else None,
                getattr(request.state, "subject", None),
                request.method,
                _as_sent(request),
                status,
                getattr(request.state, "release", None),
                (time.perf_counter() - started) * 1000,
            )
