"""The routes: who is let in, what is asked, what is answered. Each answer is of one release and says which."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ml.release import Release, ReleaseStore
from ml.rules import RulesetError, load_ruleset
from ml.serving import lists, schema
from ml.serving.reader import NotReadableError, chosen_release, kept_release, live_release
from ml.serving.tokens import TokenError, subject_of


@dataclass(frozen=True)
class Instance:
    """What the routes read from."""

    store: ReleaseStore
    secret: str
    ruleset_version: str


def _instance(request: Request) -> Instance:
    instance: Instance = request.app.state.instance
    return instance


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A JWT (HS256) with `sub` and `exp`.")


async def _authenticate(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let in who has a token, and note when he came.

    Async, like `health`: no caller who is being read to keeps others from it. What is not async waits for one of the
    40 threads that all requests share.
    """
    request.state.arrived = time.monotonic()
    if given is None:
        raise _unauthorized("Send a token: `Authorization: Bearer ...`.")
    try:
        request.state.subject = subject_of(given.credentials, _instance(request).secret)
    except TokenError as error:
        raise _unauthorized(f"The token is not accepted: {error}.") from None


async def _each_once(request: Request) -> None:
    """Refuse a parameter that comes twice: one of the two would be ignored."""
    names = [name for name, _ in request.query_params.multi_items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestValidationError([problem(name, "given more than once") for name in twice])


def problem(parameter: str, message: str) -> dict[str, Any]:
    """What is wrong with a parameter, in the form of FastAPI's own refusals."""
    return {"type": "value_error", "loc": ("query", parameter), "msg": message}


def _unauthorized(message: str) -> HTTPException:
    return HTTPException(401, message, headers={"WWW-Authenticate": "Bearer"})


def _header(name: str, description: str) -> dict[str, Any]:
    return {name: {"description": description, "schema": {"type": "string"}}}


_refusals: dict[int | str, dict[str, Any]] = {
    401: {
        "model": schema.Error,
        "description": "No token, or none that lets in",
        "headers": _header("WWW-Authenticate", "Bearer"),
    },
    410: {"model": schema.Error, "description": "The release that was named is not kept any more, or was withdrawn"},
    503: {
        "model": schema.Error,
        "description": "No release is live or it cannot be read, or too many requests are being read",
        "headers": _header("Retry-After", "Seconds after which to ask again"),
    },
}
"""What a route that reads may answer besides; each of them one sentence."""

open_routes = APIRouter()
guarded_routes = APIRouter(dependencies=[Depends(_authenticate)], responses=_refusals)


@open_routes.get(
    "/health", tags=["operation"], responses={503: {"model": schema.Health, "description": "No release is live"}}
)
async def health(request: Request, response: Response) -> schema.Health:
    """Whether a release is live; 503 where none is."""
    try:
        live_release(_instance(request).store)
    except NotReadableError:
        response.status_code = 503
        return schema.Health(status="no release")
    return schema.Health(status="ok")


@guarded_routes.get("/claims/high-risk", tags=["claims"], dependencies=[Depends(_each_once)])
def high_risk_claims(request: Request, query: Annotated[schema.ClaimsQuery, Query()]) -> schema.ClaimsPage:
    """Claims by risk, or by what an audit could recover, with the reasons."""
    store = _instance(request).store
    release = _release(request, query.release)
    _refuse_a_flag_of_another(query.flag, release.manifest.ruleset_version)
    read = None if query.read_release is None else kept_release(store, query.read_release, "read_release")
    total, claims = lists.claims(store, release, query, read, request.state.arrived)
    return schema.ClaimsPage(data=claims, meta=_page_meta(request, release, query, total))


@guarded_routes.get(
    "/claims/{claim_id:path}",
    tags=["claims"],
    dependencies=[Depends(_each_once)],
    responses={404: {"model": schema.Error, "description": "There is no such claim"}},
)
def one_claim(request: Request, claim_id: str, query: Annotated[schema.ClaimQuery, Query()]) -> schema.OneClaim:
    """One claim with its scores, whatever its risk. A claim id may hold a slash."""
    release = _release(request, query.release)
    claim = lists.claim(_instance(request).store, release, claim_id, request.state.arrived)
    if claim is None:
        raise HTTPException(404, f"claim_id: no such claim among those up to {release.manifest.data_date}")
    return schema.OneClaim(data=claim, meta=schema.Meta(**_meta(request, release)))


@guarded_routes.get("/providers/high-risk", tags=["providers"], dependencies=[Depends(_each_once)])
def high_risk_providers(request: Request, query: Annotated[schema.ProvidersQuery, Query()]) -> schema.ProvidersPage:
    """Providers by risk, with their habits."""
    release = _release(request, query.release)
    total, providers = lists.providers(_instance(request).store, release, query, request.state.arrived)
    return schema.ProvidersPage(data=providers, meta=_page_meta(request, release, query, total))


@guarded_routes.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> dict[str, Any]:
    """The description of this API, for tools that make clients of it."""
    described: dict[str, Any] = request.app.openapi()
    return described


def _refuse_a_flag_of_another(flag: str | None, ruleset_version: str) -> None:
    """No claim can have a flag of another ruleset than its own: "none" would not be the answer."""
    try:
        raised = load_ruleset(ruleset_version).raises if flag is not None else []
    except RulesetError:  # of a release that outlived its ruleset
        return
    if flag is not None and flag not in raised:
        message = f"this release is of {ruleset_version}, which does not have it, but {', '.join(raised)}"
        raise RequestValidationError([problem("flag", message)])


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
) -> schema.PageMeta:
    pages = -(-total // query.page_size)
    return schema.PageMeta(
        **_meta(request, release), total=total, page=query.page, page_size=query.page_size, pages=pages
    )


def _notice(wanted: str, scored: str) -> str | None:
    """Scores are made once a night: a RULESET_VERSION that was changed since then does not hold for them yet."""
    if wanted == scored:
        return None
    return (
        f"Server API ini memakai RULESET_VERSION={wanted}, tetapi rilis yang tayang dinilai dengan {scored}. "
        f"Daftar berganti sesudah refresh dengan {wanted}."
    )
