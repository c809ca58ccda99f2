"""The lists and single rows that the routes answer with, each of one open release."""

from __future__ import annotations

from typing import Any

from ml.claims import layout
from ml.release import Release, ReleaseStore
from ml.serving.reader import Ask, reading
from ml.serving.schema import READ_ROWS, Claim, ClaimsQuery, Provider, ProvidersQuery

FILTERS = {
    "service_type", "severity", "province", "facility", "flag", "discharged_from", "discharged_to", "min_risk",
    "min_excess",
}  # fmt: skip
"""The parameters of a query that say which claims a list is about."""


def claims(
    store: ReleaseStore, release: Release, query: ClaimsQuery, read_release: Release | None, arrived: float
) -> tuple[int, list[Claim]]:
    """Return how many claims match, and a page of them, without the first `read_rows` of the same list in a release.

    `arrived` here and below: when the request came, see `reading`.

    Raises:
        NotReadableError, NoSuchReleaseError, BusyError, TooManyClaimsError: see `reading`.
    """
    filters = query.model_dump(include=FILTERS)
    order = {"sort": query.sort}
    already_read: list[str] = []
    if read_release is not None:
        with reading(store, read_release, arrived, "read_release") as ask:
            _leave_out(ask, [], query)
            first = ask("high_risk_claim_ids", **filters, **order, page_size=query.read_rows or READ_ROWS, skipped=0)
            already_read = [row["claim_id"] for row in first]
    with reading(store, release, arrived) as ask:
        _leave_out(ask, already_read, query)
        [counted] = ask("count_high_risk_claims", **filters)
        if query.skipped >= counted["total"]:
            return counted["total"], []
        page = ask("high_risk_claim_ids", **filters, **order, page_size=query.page_size, skipped=query.skipped)
        return counted["total"], _claims_at(ask, [row["place"] for row in page])


def _leave_out(ask: Ask, already_read: list[str], query: ClaimsQuery) -> None:
    ask("left_out", claim_ids=already_read)
    if query.max_per_facility is not None:
        cap = {"sort": query.sort, "max_per_facility": query.max_per_facility}
        ask("beyond_each_facility", **query.model_dump(include=FILTERS), **cap)


def _claims_at(ask: Ask, places: list[int]) -> list[Claim]:
    """The claims at some places of the table, in their order."""
    found = {row.pop("place"): Claim.model_validate(row) for row in ask("claims_at", places=places)}
    return [found[place] for place in places]


def claim(store: ReleaseStore, release: Release, claim_id: str, arrived: float) -> Claim | None:
    """Return one claim, None where there is none of that id.

    Raises:
        NotReadableError, NoSuchReleaseError, BusyError: see `reading`.
    """
    with reading(store, release, arrived) as ask:
        rows = ask("claim", claim_id=claim_id)
        return Claim.model_validate(rows[0]) if rows else None


def providers(
    store: ReleaseStore, release: Release, query: ProvidersQuery, arrived: float
) -> tuple[int, list[Provider]]:
    """Return how many providers match, and a page of them.

    Raises:
        NotReadableError, NoSuchReleaseError, BusyError: see `reading`.
    """
    filters: dict[str, Any] = {
        "province_name": None if query.province is None else layout.PROVINCES[query.province],
        "facility": query.facility,
        "pattern": query.pattern,
    }
    with reading(store, release, arrived) as ask:
        [counted] = ask("count_high_risk_providers", **filters)
        rows = ask("high_risk_providers", **filters, page_size=query.page_size, skipped=query.skipped)
        return counted["total"], [Provider.model_validate(row) for row in rows]
