"""Nobody is in two places at once: honest visits that fell into a stay of the same patient move behind it."""

from __future__ import annotations

import numpy as np

from ml.sample.claims import Claims
from ml.sample.sampling import Array

_PASSES = 2  # a moved visit may fall into the next stay


def untangle(claims: Claims, last_day: int) -> None:
    """Move visits that lie inside an earlier stay of the same patient to after its discharge, in place.

    Visits keep their distances, so a dialysis patient's sessions do not pile up on one day. What would leave the
    window stays where it is.
    """
    for _ in range(_PASSES):
        stay_admission, stay_discharge = _stay_before(claims)
        inside = claims.admission < stay_discharge
        shift = np.where(inside, stay_discharge - stay_admission + 1, 0)
        shift[claims.discharge + shift > last_day] = 0
        claims.admission += shift.astype(np.int32)
        claims.discharge += shift.astype(np.int32)


def _stay_before(claims: Claims) -> tuple[Array, Array]:
    """For each claim, the same patient's earlier stay that ends last: its admission and discharge; 0, 0 for none."""
    order = np.lexsort((claims.discharge, claims.admission, claims.patient))
    patient = claims.patient[order].astype(np.int64)
    end = np.where(claims.inpatient, claims.discharge, 0)[order]
    key = patient * 10_000_000 + end
    longest = np.maximum.accumulate(key)
    holder = np.maximum.accumulate(np.where(key == longest, np.arange(len(key)), 0))
    before = np.concatenate([[0], holder[:-1]])
    known = (patient[before] == patient) & (end[before] > 0) & (np.arange(len(key)) > 0)
    admission = np.zeros(len(key), dtype=np.int64)
    discharge = np.zeros(len(key), dtype=np.int64)
    admission[order] = np.where(known, claims.admission[order][before], 0)
    discharge[order] = np.where(known, end[before], 0)
    return admission, discharge
