"""Which claims a step works on: those of a data date, or the newest there are."""

from __future__ import annotations

from datetime import date

from ml.claims.etl import ClaimsFile, find_claims
from ml.clock import checked_data_date
from ml.settings import Settings


def claims_of(settings: Settings, data_date: date | None = None) -> ClaimsFile:
    """Return the published claims of a data date, or the newest; neither may be of a night that is still to come.

    Raises:
        DataDateError: the data date lies in the future.
        NoClaimsError: the ETL has made no claims_normalized for the data date.
    """
    claims = find_claims(settings, checked_data_date(data_date) if data_date else None)
    checked_data_date(claims.data_date)
    return claims
